"""The scoring runtime as it goes into images: the installed fairlead_scoring, and what it depends on, locked."""

from __future__ import annotations

import importlib.metadata
from importlib import resources
from pathlib import Path

from fairlead_scoring import bundle

from fairlead.images.distributions import Distribution, Site
from fairlead.images.tar_writing import Entry


def runtime_lock() -> str:
    """Pinned, hashed lines for every platform; `scripts/lock` writes them."""
    return resources.files("fairlead.images").joinpath("runtime.lock").read_text(encoding="utf-8")


def runtime_distribution(site: Site) -> Distribution:
    """The files of fairlead_scoring as they are installed here."""
    folder = Path(bundle.__file__).parent
    files = sorted(each for each in folder.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
    entries = [Entry(path=f"{site.packages}/fairlead_scoring/{each.relative_to(folder).as_posix()}", file=each) for each in files]
    return Distribution(
        name="fairlead-scoring",
        version=importlib.metadata.version("fairlead-scoring"),
        entries=tuple(sorted(entries, key=lambda each: each.path)),
        licence="Apache-2.0",
    )

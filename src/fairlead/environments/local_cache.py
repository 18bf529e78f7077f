"""Where bundles of served model files lie: in the user's cache, a few per model, so that a reload finds the old one in place."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from fairlead import __version__

KEPT = 3


def bundle_folder(model: Path, made_with: object) -> Path:
    """A folder for the bundle of this state of the model; older states beyond a few are removed.

    made_with: what else the bundle comes from, such as the script and the pinned packages; another value is another bundle.
    """
    place = cache() / "served" / hashlib.sha256(str(model.resolve()).encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = place / _state(model, made_with)
    others = sorted((each for each in place.iterdir() if each != folder), key=lambda each: each.stat().st_mtime)
    for old in others[: max(0, len(others) - KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def cache() -> Path:
    """XDG_CACHE_HOME/fairlead, or ~/.cache/fairlead."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fairlead"


def _state(model: Path, made_with: object) -> str:
    files = [model] if model.is_file() else sorted(each for each in model.rglob("*") if each.is_file())
    seen = [(str(each), each.stat().st_mtime_ns, each.stat().st_size) for each in files]
    return hashlib.sha256(repr((seen, __version__, made_with)).encode()).hexdigest()[:16]

"""What a flavor contributes when a bundle is made, and what it finds in a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """requirements: distributions that its score.py imports, without versions. template: file under `templates`. suffixes: for messages only."""

    name: str
    requirements: tuple[str, ...]
    template: str
    detect: Callable[[Path], bool]
    suffixes: tuple[str, ...] = ()

    @property
    def score_py(self) -> str:
        """The text of the scoring script that goes into the bundle."""
        return resources.files("fairlead.flavors").joinpath("templates", self.template).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model that can be served without a script.

    requirements: lines for requirements.txt, pinned where a version is known. unsafe: (path, reason) of files that run code when loaded.
    notes: sentences for the author. schema: Signature JSON when the files state one, else the running script describes itself.
    """

    flavor: Flavor
    requirements: tuple[str, ...]
    unsafe: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None

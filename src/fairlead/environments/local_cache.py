"""Where bundles of served model files lie: in the user's cache, a few per model, so that a reload finds the old one in place."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from fairlead.places import cache_dir

KEPT = 3


def place_of(model: Path) -> Path:
    """The folder for bundles of this model."""
    place = cache_dir() / "served" / hashlib.sha256(str(model.resolve()).encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place


def keep(made: Path, digest: str) -> Path:
    """Moves a bundle that was made in its place to the name that its content gives it; all but the newest few are removed."""
    kept = made.with_name(digest[:16])
    if kept.exists():
        shutil.rmtree(made, ignore_errors=True)
        os.utime(kept)
    else:
        made.rename(kept)
    others = sorted((each for each in kept.parent.iterdir() if each != kept), key=lambda each: each.stat().st_mtime)
    for old in others[: max(0, len(others) - KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return kept

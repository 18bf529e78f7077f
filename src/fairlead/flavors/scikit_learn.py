"""scikit-learn estimators, and whatever has their methods, from pickle, joblib or skops files."""

from __future__ import annotations

from pathlib import Path

from fairlead.flavors import pickled
from fairlead.flavors.contents import member
from fairlead.flavors.flavor import Flavor


def is_skops(path: Path) -> bool:
    return b'"__loader__"' in member(path, "schema.json")


def _detect(path: Path) -> bool:
    if not path.is_file():
        return False
    if is_skops(path):
        return True
    said = pickled.read(path)
    return said is not None and not any(name.startswith("torch.") for name in said.names) and not path.name.endswith((".npy", ".npz", ".pt", ".pth"))


FLAVOR = Flavor(
    name="scikit-learn",
    requirements=("scikit-learn", "numpy", "joblib"),
    template="scikit_learn.py",
    detect=_detect,
    suffixes=(".pkl", ".pickle", ".joblib", ".skops"),
)

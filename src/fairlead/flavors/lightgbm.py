"""LightGBM boosters as text. A pickled LGBMClassifier is of the scikit-learn flavor."""

from __future__ import annotations

from pathlib import Path

from fairlead.flavors.contents import head
from fairlead.flavors.flavor import Flavor


def _detect(path: Path) -> bool:
    return head(path, 13).startswith(b"tree\nversion=")


FLAVOR = Flavor(name="lightgbm", requirements=("lightgbm", "numpy"), template="lightgbm.py", detect=_detect, suffixes=(".txt", ".lgb"))

"""XGBoost boosters in the formats of `save_model`: UBJSON and JSON. A pickled XGBClassifier is of the scikit-learn flavor."""

from __future__ import annotations

from pathlib import Path

from fairlead.flavors.contents import head, json_object
from fairlead.flavors.flavor import Flavor


def _detect(path: Path) -> bool:
    first = head(path)
    if first.startswith(b"{L"):  # UBJSON: an object whose first key has a 64-bit length
        return b"learner" in first
    return {"learner", "version"} <= set(json_object(path))


def is_old_binary(path: Path) -> bool:
    """The binary format that XGBoost 3.1 stopped reading."""
    return head(path, 4) in (b"binf", b"bs64") or (path.suffix in (".bst", ".model") and b"gbtree" in head(path, 512) and not _detect(path))


FLAVOR = Flavor(name="xgboost", requirements=("xgboost", "numpy"), template="xgboost.py", detect=_detect, suffixes=(".ubj", ".json", ".bst"))

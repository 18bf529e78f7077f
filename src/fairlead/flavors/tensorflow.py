"""TensorFlow SavedModel folders, and Keras models in a file."""

from __future__ import annotations

from pathlib import Path

from fairlead.flavors.contents import HDF5, head, members
from fairlead.flavors.flavor import Flavor


def _detect(path: Path) -> bool:
    if path.is_dir():
        return _saved_model(path) is not None
    inside = set(members(path))
    return {"config.json", "model.weights.h5"} <= inside or (head(path, 8) == HDF5 and b"model_config" in path.read_bytes())


def _saved_model(folder: Path) -> Path | None:
    """The SavedModel at the top, or in the one numbered folder that TensorFlow Serving expects."""
    if (folder / "saved_model.pb").is_file():
        return folder
    inside = [each for each in folder.iterdir() if each.is_dir() and (each / "saved_model.pb").is_file()]
    return inside[0] if len(inside) == 1 else None


FLAVOR = Flavor(
    name="tensorflow", requirements=("tensorflow", "numpy"), template="tensorflow.py", detect=_detect, suffixes=("a SavedModel folder", ".keras", ".h5")
)

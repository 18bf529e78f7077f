"""PyTorch programs: TorchScript and torch.export archives. Weights alone, or a pickled module, need a script: they do not hold the network."""

from __future__ import annotations

from pathlib import Path

from fairlead.flavors.contents import head, members
from fairlead.flavors.flavor import Flavor


def _detect(path: Path) -> bool:
    inside = members(path)
    scripted = any(name.endswith("/constants.pkl") for name in inside) and any("/code/" in name for name in inside)
    return scripted or any(name.endswith(("/archive_format", "serialized_exported_program.json")) for name in inside)


def is_saved_object(path: Path) -> bool:
    """What torch.save writes: a pickle of weights or of a whole module."""
    inside = members(path)
    old = head(path, 32).startswith(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")
    return old or (any(name.endswith("/data.pkl") for name in inside) and not _detect(path))


FLAVOR = Flavor(name="pytorch", requirements=("torch", "numpy"), template="pytorch.py", detect=_detect, suffixes=(".pt", ".ts", ".pt2"))

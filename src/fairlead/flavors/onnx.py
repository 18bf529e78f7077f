"""ONNX graphs, for ONNX Runtime."""

from __future__ import annotations

from fairlead.flavors.contents import is_onnx
from fairlead.flavors.flavor import Flavor

FLAVOR = Flavor(name="onnx", requirements=("onnxruntime", "numpy"), template="onnx.py", detect=is_onnx, suffixes=(".onnx",))

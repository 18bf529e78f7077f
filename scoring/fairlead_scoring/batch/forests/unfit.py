"""Why trees are left to ONNX Runtime."""

from __future__ import annotations


class Unfit(Exception):
    """The text is the reason."""


class NotHere(Unfit):
    """They would fit, on a machine that has llvmlite."""

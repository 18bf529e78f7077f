"""Services as processes on this machine, which outlive the program that started them."""

from __future__ import annotations

from fairlead.targets.local.target import LocalTarget

__all__ = ["LocalTarget"]

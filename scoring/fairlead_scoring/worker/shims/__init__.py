"""Shims (placeholder until the compat branch lands)."""

from __future__ import annotations


def install() -> None:
    """Nothing yet."""

"""The smallest script that both servers of startup.py accept."""

from __future__ import annotations


def init() -> None:
    pass


def run(data: str) -> str:
    return data

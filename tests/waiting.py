"""Waiting for a fact: the only place where a test lets time pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NeverTrue(AssertionError):
    """What was waited for did not happen in time."""


def until(fact: Callable[[], T], what: str, *, timeout: float = 60.0, pause: float = 0.02) -> T:
    """Ask again until the answer is true, and return it. `what` completes the sentence "Waited 60 s for ..."."""
    give_up = time.monotonic() + timeout
    while not (answer := fact()):
        if time.monotonic() > give_up:
            raise NeverTrue(f"Waited {timeout:g} s for {what}.")
        time.sleep(pause)  # noqa: TID251 - this is what the rule points to
    return answer

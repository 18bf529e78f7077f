"""What can be kept: JSON and SQL agree on less than Python allows."""

from __future__ import annotations

import math
import re
from typing import Any

DEEPEST = 100
LARGEST = 2**63
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def check_storable(value: Any) -> None:
    """Raises ValueError that says what is wrong, and where in the value."""
    left: list[tuple[Any, str, int]] = [(value, "", 0)]
    while left:
        one, where, depth = left.pop()
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        if isinstance(one, dict):
            left += [(key, where, depth + 1) for key in one]
            left += [(member, f"{where}.{key}", depth + 1) for key, member in one.items()]
        elif isinstance(one, list | tuple):
            left += [(member, f"{where}.{number}", depth + 1) for number, member in enumerate(one)]
        elif fault := _fault_of(one):
            raise ValueError(f"{where.lstrip('.')!r} {fault}" if where else fault)


def made_storable(value: Any) -> Any:
    """For words of scripts and libraries, which say what they like: what cannot be kept of a text is shown as \ufffd, of numbers as null or as text."""
    if isinstance(value, dict):
        return {made_storable(key): made_storable(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [made_storable(member) for member in value]
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, int) and not -LARGEST <= value < LARGEST else value


def _fault_of(one: Any) -> str | None:
    if isinstance(one, str):
        return _fault_of_text(one)
    if isinstance(one, float) and not math.isfinite(one):
        return "is no number that JSON knows"
    if isinstance(one, int) and not -LARGEST <= one < LARGEST:
        return "is a whole number of more than 64 bits"
    return None


def _fault_of_text(text: str) -> str | None:
    if "\0" in text:
        return "holds a NUL character, which cannot be stored"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is no character"
    return None

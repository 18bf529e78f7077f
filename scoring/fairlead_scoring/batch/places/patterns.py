"""Patterns such as data/2026-*/part-?.parquet: what is fixed in them, and what they match."""

from __future__ import annotations

import re
from typing import Pattern, Tuple

_MAGIC = re.compile(r"[*?\[]")


def has_magic(path: str) -> bool:
    return _MAGIC.search(path) is not None


def split_pattern(path: str) -> Tuple[str, str]:
    """The folder that is fixed, and the rest: `a/b/*.csv` is `a/b` and `*.csv`. Without a pattern all is fixed."""
    parts = path.split("/")
    for number, part in enumerate(parts):
        if has_magic(part):
            return "/".join(parts[:number]), "/".join(parts[number:])
    return path, ""


def compile_pattern(pattern: str) -> Pattern[str]:
    """Matches the files that are meant, and all that is below a folder that is meant. `*` stays within one name."""
    pieces = []
    parts = pattern.strip("/").split("/")
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            pieces.append(".*" if last else "(?:.*/)?")
        else:
            pieces.append(_name(part) + ("" if last else "/"))
    return re.compile("".join(pieces) + "(?:/.*)?", re.DOTALL)


def is_hidden(below: str, pattern: str = "") -> bool:
    """A name in the path begins with `_` or `.` and no name of the pattern does. `_name=value` is a column's folder."""
    if re.search(r"(?:^|/)[._]", pattern):
        return False
    return any(part[:1] in ("_", ".") and "=" not in part for part in below.split("/"))


def _name(part: str) -> str:
    made, at = "", 0
    while at < len(part):
        closing = part.find("]", at + 2) if part[at] == "[" else -1
        if closing > 0:
            inner = part[at + 1 : closing]
            negated = inner[:1] in ("!", "^")
            inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner[1:] if negated else inner)
            made += f"[{'^/' if negated else ''}{inner}]"
            at = closing + 1
            continue
        made += {"*": "[^/]*", "?": "[^/]"}.get(part[at], re.escape(part[at]))
        at += 1
    return made

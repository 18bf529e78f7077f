"""What a requirements file may say in a bundle: it is stored as given, so it must stand on its own and hold no password."""

from __future__ import annotations

import re
from pathlib import Path

from fairlead.environments.requirement_lines import read_text
from fairlead.errors import UsageError

_ELSEWHERE = re.compile(r"(-r|--requirement|-c|--constraint|-e|--editable)\b|(?:\.{1,2}/|/|file:)", re.ASCII)
_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")


def check_requirements(path: Path) -> None:
    """Raises UsageError with the line that leans on a file which is not in the bundle, or that holds a password."""
    text = read_text(path)
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.strip()
        if _ELSEWHERE.match(said) and not re.match(r"(-e|--editable)[ =]+git\+", said):
            raise UsageError(f"{path}, line {number}: {said!r} leans on a file that is not in the bundle. Write the packages themselves.")
        if _PASSWORD.search(said) and "${" not in said:
            raise UsageError(f"{path}, line {number} holds a password. Leave it to the index configuration of the machine that installs.")

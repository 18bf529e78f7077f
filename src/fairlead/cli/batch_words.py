"""Inputs, outputs and parameters of a batch service, as its commands write them: `--in=--data:FILE`, or `-i data=FILE`.

A name carries its own dashes, because it becomes a flag of the driver. It ends at the first colon, so a value may hold further ones:
`--data:wasbs://c@a.blob.core.windows.net/f.csv`, `--data:C:\\f.csv`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from fairlead.errors import UsageError
from fairlead.schemas.batch_services import split_parameter

BATCH = "batch"
_SHORT = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)(?:[:=](.*))?", re.DOTALL)


class WithBatch(TyperGroup):
    """`service VERB batch …` is a command of its own, called `VERB batch`; its options differ from those of `service VERB`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        verb, *rest = args
        if f"{verb} {BATCH}" in self.commands and (rest[:1] == [BATCH] or verb not in self.commands):
            return super().resolve_command(ctx, [f"{verb} {BATCH}", *(rest[1:] if rest[:1] == [BATCH] else rest)])
        return super().resolve_command(ctx, args)


def declared(said: Sequence[str] | None, option: str) -> dict[str, str | None]:
    """Name and default; None: it must be given at each run. Raises UsageError."""
    found: dict[str, str | None] = {}
    for each in said or ():
        name, value = _split(each)
        if option == "--param" and value is None and Path(each).is_file():
            raise UsageError(f"-p {each} would declare a parameter called {name}. Packages are said by --requirements {each}; a parameter by -p NAME=DEFAULT.")
        if name in found:
            raise UsageError(f"{option}={name} is declared twice; declare it once.")
        found[name] = value
    return found


def given(said: Sequence[str] | None, option: str) -> dict[str, str]:
    """Name and value. Raises UsageError, in the seeds' words when there is no value."""
    found = declared(said, option)
    lacking = next((name for name, value in found.items() if value is None), None)
    if lacking is not None:
        raise UsageError(f"Must provide value for service parameter {lacking}: write {option}={lacking}:VALUE.")
    return {name: value for name, value in found.items() if value is not None}


def _split(said: str) -> tuple[str, str | None]:
    short = _SHORT.fullmatch(said)
    name, value = (f"--{short[1]}", short[2]) if short else split_parameter(said)
    return name, value or None

"""Which Python runs the user's code: the one that was named, else the active virtual environment's, else our own (DECISIONS 15)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import EnvironmentNotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """`origin` says in words why it was taken."""

    path: Path
    origin: str


def choose(named: str | None, environment: Mapping[str, str] = os.environ) -> Interpreter:
    """`named`: a virtual environment's folder or an interpreter. Raises EnvironmentNotFound."""
    if named is not None:
        return Interpreter(path=_inside(Path(named)), origin="named with --environment")
    active = environment.get("VIRTUAL_ENV") or environment.get("CONDA_PREFIX")
    if active and (Path(active) / "bin" / "python").is_file():
        return Interpreter(path=Path(active) / "bin" / "python", origin="the active virtual environment")
    return Interpreter(path=Path(sys.executable), origin="the Python that runs fairlead")


def _inside(named: Path) -> Path:
    if named.is_dir():
        python = named / "bin" / "python"
        if not python.is_file():
            raise EnvironmentNotFound(f"{named} is not a virtual environment: it has no bin/python. Make one with `python -m venv {named}`.")
        return python.absolute()
    if not named.is_file() or not os.access(named, os.X_OK):
        raise EnvironmentNotFound(f"There is no interpreter at {named}. Name a virtual environment's folder, or a python.")
    return named.absolute()

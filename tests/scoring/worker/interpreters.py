"""Small programs in an interpreter of their own, with the worker half and nothing else of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

SCORING = Path(__file__).resolve().parents[3] / "scoring"


def run(program: str, *, folder: Path, python: Path | None = None, env: Mapping[str, str] | None = None, site: Path | None = None) -> str:
    """What the program prints, run in `folder`; `site` is a folder of installed packages. Fails the test when the program fails."""
    first = [str(SCORING)] + ([str(site)] if site else [])
    head = f"import sys\nsys.path[:0] = {first!r}\n"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AML_", "AZUREML_", "FAIRLEAD_", "PYTHON"))}
    done = subprocess.run(
        [python or sys.executable, "-W", "error", "-c", head + textwrap.dedent(program)],
        cwd=folder,
        env=inherited | dict(env or {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def with_shims(program: str) -> str:
    return "from fairlead_scoring.worker.shims import install\ninstall()\n" + textwrap.dedent(program)


def install_package(site: Path, name: str, text: str) -> None:
    """A module `name`, dotted, as if pip had put it there; its parents are empty packages with what is there kept."""
    *parents, last = name.split(".")
    folder = site.joinpath(*parents)
    folder.mkdir(parents=True, exist_ok=True)
    for depth in range(1, len(parents) + 1):
        site.joinpath(*parents[:depth], "__init__.py").touch()
    (folder / f"{last}.py").write_text(text)

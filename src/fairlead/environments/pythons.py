"""Finding a Python by its minor on this machine; none is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from fairlead.environments import python_versions
from fairlead.environments.uv_command import run_uv
from fairlead.errors import EnvironmentFailure

_ASK = "import sys; print('%d.%d' % sys.version_info[:2])"


def find_python(minor: str) -> Path:
    """An interpreter that answers and is no virtual environment of somebody's. Raises EnvironmentFailure."""
    for candidate in _candidates(minor):
        if _answers(candidate, minor):
            return candidate
    raise EnvironmentFailure(
        f"There is no Python {minor} on this machine. Run `uv python install {minor}`, put python{minor} on the PATH, "
        f"or ask for Python {python_versions.own()}, which is here.",
        cause="no-python",
    )


def _candidates(minor: str) -> Iterator[Path]:
    if minor == python_versions.own():
        yield Path(sys.base_prefix) / "bin" / f"python{minor}"
    for folder in os.get_exec_path():
        if found := shutil.which(f"python{minor}", path=folder):
            yield Path(found)
    yield from _pyenv(minor)
    done = run_uv(["python", "find", "--system", "--no-project", minor], folder=Path("/"))
    if done.code == 0:
        yield Path(done.text.strip())


def _pyenv(minor: str) -> list[Path]:
    """The newest patch first."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [folder for folder in root.glob(f"{minor}.*") if folder.name.rpartition(".")[2].isdigit()]
    return [folder / "bin" / f"python{minor}" for folder in sorted(found, key=lambda each: -int(each.name.rpartition(".")[2]))]


def _answers(python: Path, minor: str) -> bool:
    """A shim of pyenv is a file that does not run; a file of the right name may be another Python."""
    try:
        done = subprocess.run([str(python), "-I", "-c", _ASK], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == minor

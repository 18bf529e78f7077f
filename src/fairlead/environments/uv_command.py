"""Runs uv, which locks and installs. Where packages come from, proxies and certificates stay what this machine has set for uv, else for pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.environments import pip_settings
from fairlead.errors import EnvironmentFailure

_NOT_OURS = frozenset((  # they would turn what we ask into something else
    "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_BREAK_SYSTEM_PACKAGES", "UV_CONSTRAINT", "UV_FROZEN", "UV_LOCKED", "UV_NO_SYNC", "UV_OVERRIDE",
    "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_REQUIRE_HASHES", "UV_SYSTEM_PYTHON", "UV_VENV_SEED", "VIRTUAL_ENV",
))  # fmt: skip
WHEELS_ONLY = ("--only-binary", ":all:", "--no-binary", "pyspark")  # no set-up code of packages runs; Apache Spark publishes pyspark without a wheel
_OURS = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_NO_WRAP": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """`text`: what came on standard output; `output`: what uv told people."""

    code: int
    text: str
    output: str


def run_uv(arguments: Sequence[str], *, folder: Path, say: Callable[[str], None] | None = None, kept_open: tuple[int, ...] = ()) -> Done:
    """Runs to its end in `folder`. `say` gets each line as it comes; `kept_open`: descriptors that live as long as uv does. Raises EnvironmentFailure."""
    process = subprocess.Popen(
        [find_uv(), *arguments],
        cwd=folder,
        env=_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if say is None else subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        pass_fds=kept_open,
    )
    with process:
        if say is None:
            text, output = process.communicate()
            return Done(code=process.returncode, text=text, output=output)
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            say(line.rstrip())
        return Done(code=process.wait(), text="", output="".join(lines))


def find_uv() -> str:
    """The uv installed beside us, else the one on the PATH. Raises EnvironmentFailure."""
    found = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    if found is None:
        raise EnvironmentFailure("uv is not installed, and it locks and builds environments. Run: pip install 'fairlead[server]'", cause="no-uv")
    return found


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if name not in _NOT_OURS} | pip_settings.for_uv(given) | _OURS

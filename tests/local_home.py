"""A user's home of the tests' own: commands and scripts run in it start the local server by themselves, and everything they started ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.live import FAIRLEAD, MARK, is_marked, kill_left

Done = subprocess.CompletedProcess[str]


def share_environments(home: Path, environments: Path) -> None:
    """A server of this new FAIRLEAD_HOME finds the environments that others have built: scikit-learn alone takes seconds to compile."""
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "environments").symlink_to(environments)


class LocalHome:
    """`folder` is the FAIRLEAD_HOME of every process that is run through it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = uuid.uuid4().hex

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def env(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
        return inherited | {"FAIRLEAD_HOME": str(self.folder), MARK: self._mark}

    def fairlead(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Done:
        return self.run(FAIRLEAD, *arguments, env=env)

    def script(self, code: str, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
        """A Python process, as a user of the SDK has it."""
        return self.run(sys.executable, "-c", code, *arguments, env=env)

    def run(self, *command: str | Path, env: Mapping[str, str] | None = None) -> Done:
        said = [str(part) for part in command]
        return subprocess.run(said, env=self.env | dict(env or {}), capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)

    def begin(self, *command: str | Path, env: Mapping[str, str] | None = None, **how: Any) -> subprocess.Popen[str]:
        """Without waiting for its end."""
        said = [str(part) for part in command]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        return subprocess.Popen(said, env=self.env | dict(env or {}), text=True, stdin=subprocess.DEVNULL, **pipes)

    def servers(self) -> list[psutil.Process]:
        """Living processes of `python -m fairlead.server` of this home."""
        return [process for process in self._processes() if _runs_server(process)]

    def end(self) -> None:
        kill_left(self._mark, self.folder)

    def _processes(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if is_marked(process, self._mark)]


def _runs_server(process: psutil.Process) -> bool:
    try:
        return "fairlead.server" in process.cmdline()
    except psutil.Error:  # it has ended meanwhile
        return False

"""What happens between "reload" and new workers: a command may have to make the bundle anew, while the old one serves."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from dataclasses import replace
from typing import IO

from fairlead_scoring.errors import BootFault, RuntimeFault
from fairlead_scoring.supervisor.options import ServeOptions


class Preparation:
    """`start` when asked, `outcome` once it is over: the options to go on with, or what went wrong."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._pid: int | None = None
        self._output: IO[bytes] | None = None
        self._again = False
        self._outcome: ServeOptions | RuntimeFault | None = None

    def start(self) -> None:
        if self._pid is not None:
            self._again = True
            return
        if not self._options.prepare:
            self._outcome = self._options
            return
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (read when the command has ended)
        process = subprocess.Popen(self._options.prepare, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT)
        process.returncode = 0  # reaped by the supervisor itself
        self._pid = process.pid

    def child_ended(self, pid: int, how: str) -> None:
        if pid != self._pid or self._output is None:
            return
        self._pid = None
        self._output.seek(0)
        said = self._output.read().decode("utf-8", "replace").strip()
        self._output.close()
        last = said.splitlines()[-1] if said else ""
        if how == "exited with 0" and os.path.isdir(last):
            self._outcome = replace(self._options, bundle=last)
        else:
            self._outcome = BootFault(said.removeprefix("fairlead: ") or f"`{shlex.join(self._options.prepare)}` {how} and said nothing.")
        if self._again:
            self._again = False
            self.start()

    def outcome(self) -> ServeOptions | RuntimeFault | None:
        outcome, self._outcome = self._outcome, None
        return outcome

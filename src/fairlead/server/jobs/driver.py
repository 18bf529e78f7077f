"""A job's driver: started as a process of its own, in the job's environment, with nothing of this server's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from fairlead_scoring import bundle

from fairlead.server.jobs.place import Place
from fairlead.targets.local.supervisor import INHERITED

BUSY, TERMINATED = 4, 143  # as fairlead_scoring.batch.main has them
RUNTIME = Path(bundle.__file__).parent


class Child:
    """A driver that this process has started; others are known by the lock that they hold."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.exit_code: int | None = None
        """Once it has ended; below 0 for a signal."""

    @property
    def is_running(self) -> bool:
        """Also sees to it that nothing is left of one that has ended."""
        if self.exit_code is not None:
            return False
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self._pid, 0
        if pid:
            self.exit_code = os.waitstatus_to_exitcode(status)
        return not pid

    @property
    def gave_up(self) -> bool:
        """Whether it ended by itself and with an error, so that another one would do the same; not because it was told to, or another is at the job."""
        return self.exit_code is not None and self.exit_code > 0 and self.exit_code not in (BUSY, TERMINATED)

    def kill(self) -> None:
        """With all that it has started. Only while it runs, so that its number is nobody else's."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)


def start(place: Place, python: Path) -> Child:
    """It runs in its own session and outlives this program; what it says itself is in its log. Raises OSError."""
    output = os.open(place.driver_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [str(python), str(RUNTIME), "batch", str(place.folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={name: value for name, value in os.environ.items() if INHERITED.fullmatch(name)},
            cwd=place.folder,
            start_new_session=True,
        )
    finally:
        os.close(output)
    process.returncode = 0  # it outlives this program; while that lives, Child sees to it
    return Child(process.pid)

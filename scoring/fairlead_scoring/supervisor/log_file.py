"""The log file that supervisor, front and workers write to: opened, turned over when it is large, read back for a failure's last lines.

All of them hold the same open file. To turn it over, the file is renamed and a new one opened under its name; each process
is sent the new descriptor and puts it in the place of its own. Until it has, its lines go to the renamed file: none is lost.
"""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from fairlead_scoring.errors import BootFault, cause_of
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.supervisor.attempt import LAST_LINES
from fairlead_scoring.supervisor.child import Control
from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.worker.link import LOG

KEPT = 5  # log.1 … log.5
READ_BACK = 256 * 1024


def writer_of(options: ServeOptions, fd: int | None = None) -> LineWriter:
    """Raises BootFault. `fd`: one that is open already."""
    if fd is None:
        fd = os.dup(1) if options.log_file is None else _open(options.log_file)
        os.set_inheritable(fd, True)
    form = options.log_form
    if form == "auto":
        form = "text" if os.isatty(fd) else "json"
    return LineWriter(fd, form=form, level=options.log_level)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    except OSError as error:
        said = f"The log file {path} cannot be written ({error.strerror}); name another with --log-file."
        raise BootFault(said, cause=cause_of(error)) from error


class LogFile:
    """`controls` are the links to every process that writes."""

    def __init__(self, options: ServeOptions, lines: LineWriter, controls: Callable[[], Iterable[Control]]) -> None:
        self.most_bytes = options.log_max_bytes
        self._path = options.log_file
        self._lines = lines
        self._controls = controls

    def look_after(self) -> None:
        if self._path is None or self.most_bytes is None:
            return
        status = os.fstat(self._lines.fd)
        if stat.S_ISREG(status.st_mode) and status.st_size >= self.most_bytes:
            self._turn_over(self._path)

    def _turn_over(self, path: str) -> None:
        try:
            for number in range(KEPT - 1, 0, -1):
                if os.path.exists(f"{path}.{number}"):
                    os.replace(f"{path}.{number}", f"{path}.{number + 1}")
            os.replace(path, f"{path}.1")
        except OSError as error:
            self._give_up(error)
            return
        self.reopen()

    def reopen(self) -> str:
        """The file of that name, whatever has become of the old one. What went wrong, or "": then the old file stays in use."""
        if self._path is None:
            return "There is no log file: the log goes to standard output."
        try:
            fd = _open(self._path)
        except BootFault as fault:
            self._give_up(fault)
            return str(fault)
        for control in self._controls():
            control.tell(LOG, {}, fd=fd)
        self._lines.turn_to(fd)
        return ""

    def _give_up(self, error: Exception) -> None:
        """Once: a folder that cannot be written to would be tried again every half second."""
        self.most_bytes = None
        self._lines.say("error", "supervisor", f"The log file {self._path} cannot be turned over and goes on growing: {error}")

    def last_lines(self, worker: str, since: str) -> list[str]:
        """What this worker wrote and said, of the last, from a log of JSON lines in a file; [] of any other log."""
        if self._path is None or self._lines.form != "json":
            return []
        found: deque[str] = deque(maxlen=LAST_LINES)
        mark = f'"worker": "{worker}"'
        for line in _end_of(self._path):
            if mark in line and (record := _record(line)) is not None and record["time"] >= since:
                found += record["message"].splitlines()
        return list(found)


def _end_of(path: str) -> list[str]:
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - READ_BACK))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _record(line: str) -> dict[str, str] | None:
    try:
        record = json.loads(line)
        return record if isinstance(record["message"], str) and isinstance(record["time"], str) else None
    except (ValueError, KeyError, TypeError):
        return None

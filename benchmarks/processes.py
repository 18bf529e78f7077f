"""A server's whole process tree, read from /proc: CPU seconds with reaped children, proportional memory, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

TICKS = os.sysconf("SC_CLK_TCK")
MARK = "FAIRLEAD_BENCH_TREE"


class Tree:
    """A command and everything it started, also what detached itself: members carry a mark in their environment."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: IO[bytes]) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            list(command),
            env={**env, MARK: self.mark},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pids(self) -> list[int]:
        parents = {pid: fields for pid in _all_pids() if (fields := stat_of(pid)) is not None}
        members = {self.process.pid}
        grown = True
        while grown:
            new = {pid for pid, fields in parents.items() if fields.parent in members or fields.session in members}
            grown = not new <= members
            members |= new
        marked = {pid for pid in parents if pid not in members and self._is_marked(pid)}
        return sorted((members | marked) & set(parents))

    def cpu_seconds(self) -> float:
        """User and system time of all members and of the children they reaped."""
        return sum(fields.cpu for pid in self.pids() if (fields := stat_of(pid)) is not None)

    def pss_bytes(self) -> int:
        """Proportional set size of all members: shared pages are counted once."""
        return sum(pss_of(pid) for pid in self.pids())

    def stop(self) -> None:
        """SIGTERM to the root, ten seconds, then SIGKILL to every member that is left."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        deadline = time.monotonic() + 10
        while (left := self.pids()) and time.monotonic() < deadline:
            for pid in left:
                _kill(pid)
            self.process.poll()
            time.sleep(0.05)

    def _is_marked(self, pid: int) -> bool:
        try:
            return f"{MARK}={self.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False


class Stat:
    """The fields of /proc/PID/stat that matter here; cpu in seconds, reaped children included."""

    __slots__ = ("cpu", "parent", "session")

    def __init__(self, text: str) -> None:
        fields = text.rpartition(")")[2].split()
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.cpu = sum(int(field) for field in fields[11:15]) / TICKS


def stat_of(pid: int) -> Stat | None:
    """None when the process is gone."""
    try:
        return Stat(Path(f"/proc/{pid}/stat").read_text())
    except OSError:
        return None


def cpu_of(pids: Sequence[int]) -> float:
    return sum(fields.cpu for pid in pids if (fields := stat_of(pid)) is not None)


def pss_of(pid: int) -> int:
    """Bytes; 0 when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass

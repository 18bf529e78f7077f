"""One command from its start to the end of all it started: python -m benchmarks.measured OUTPUT COMMAND…

Writes JSON: wall seconds, CPU seconds of the command and of everything below it, also of what detached itself (orphans come to this process, which
waits for all), the peak of their proportional memory, and the number that the command printed after the word `seconds`.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.processes import pss_of

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
LOOK = 0.25
MERCY = 15.0


def main(output: Path, command: list[str]) -> int:
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    peak = Peak()
    begun = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said)
        peak.start()
        code = process.wait()
        wall = time.monotonic() - begun
        peak.stop()
        said.seek(0)
        words = said.read().decode(errors="replace").split()
    end_the_rest()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    inner = [float(after) for word, after in itertools.pairwise(words) if word == "seconds"]
    record = {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_bytes": peak.bytes, "inner_s": inner[0] if inner else None, "code": code}
    output.write_text(json.dumps(record))
    return code


class Peak:
    def __init__(self) -> None:
        self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.start, self._join = self._thread.start, self._thread.join

    def stop(self) -> None:
        self._over.set()
        self._join()

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            self.bytes = max(self.bytes, sum(pss_of(pid) for pid in below(os.getpid())))


def below(root: int) -> list[int]:
    found, new = [], [root]
    while new:
        new = [child for pid in new for child in children(pid)]
        found += new
    return found


def children(pid: int) -> list[int]:
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []


def end_the_rest() -> None:
    """What the command left running is asked to end, and made to."""
    ends = time.monotonic() + MERCY
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in below(os.getpid()):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        while time.monotonic() < ends and reaped():
            time.sleep(LOOK)
        ends += MERCY


def reaped() -> bool:
    """False when there is no child any more."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    except ChildProcessError:
        return False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

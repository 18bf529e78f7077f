"""Points at which the process can be told to die, so that tests can kill it at every write (fault test D1).

`FAIRLEAD_FAULT=name` or `name:N` (the N-th time it is reached) makes that point end the process as SIGKILL would. With FAIRLEAD_FAULT_FILE a file says
so, and can say another thing later; while it says `?`, each point that is reached is written down beside it. Each point is registered where it is
defined, so a test can enumerate them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

POINTS: dict[str, str] = {}
_reached: Counter[str] = Counter()
_lock = threading.Lock()


@dataclass(frozen=True)
class FaultPoint:
    """`REGISTERED = FaultPoint("registry.register.before-commit", "…")`, then `REGISTERED.reach()` where it is to bite."""

    name: str
    about: str

    def __post_init__(self) -> None:
        assert self.name not in POINTS, f"two fault points are called {self.name}"
        POINTS[self.name] = self.about

    def reach(self) -> None:
        file = os.environ.get("FAIRLEAD_FAULT_FILE")
        wanted = os.environ.get("FAIRLEAD_FAULT") or (file and _read(file))
        if not wanted:
            return
        if wanted == "?" and file:
            _write_down(file, self.name)
            return
        name, _, count = wanted.partition(" ")[0].partition(":")  # what follows a blank tells one wish from another
        if name != self.name:
            return
        with _lock:
            _reached[wanted] += 1
            if _reached[wanted] == int(count or 1):
                os.kill(os.getpid(), signal.SIGKILL)


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _write_down(file: str, name: str) -> None:
    with Path(f"{file}.reached").open("a", encoding="ascii") as reached:
        reached.write(name + "\n")

"""A runner that scores nothing and does as its task says, for tests of engines: it leaves files that tell where it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairlead_scoring.batch.engines import Event, Hopeless, Interruption, Lost
from fairlead_scoring.batch.shards import Outcome, Shard

from tests.waiting import until


class Pretended:
    """task: `folder`; numbers of shards that are `hopeless`, `lost`, or that are `held` until FOLDER/go is there.

    FOLDER/ran has a line for each begin: shard, process, runner. FOLDER/held-N is there while shard N is held; it says by which process.
    """

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._task = task
        self._folder = Path(task["folder"])
        self._told: list[Interruption] = []

    def run(self, shard: Shard, stop: Callable[[], bool]) -> Event | None:
        with (self._folder / "ran").open("a") as file:
            file.write(f"{shard.number} {os.getpid()} {id(self)}\n")
        if shard.number in self._task.get("held", ()) and not self._hold(shard.number, stop):
            return None
        if shard.number in self._task.get("hopeless", ()):
            return Hopeless("init-raised", "init() of score.py raised ValueError.", ("line 1", "line 2"))
        if shard.number in self._task.get("lost", ()):
            return Lost(shard.number, "No room is left on the disk.")
        if shard.number in self._task.get("interrupted", ()):
            self._told.append(Interruption("here", "A process that scored was ended by SIGKILL."))
        return Outcome(shard.number, items=10, rows=10, node=str(self._task.get("node", "")))

    def take_interruptions(self) -> list[Interruption]:
        told, self._told = self._told, []
        return told

    def close(self, *, at_once: bool = False) -> None:
        (self._folder / f"closed-{os.getpid()}-{id(self)}").touch()

    def _hold(self, number: int, stop: Callable[[], bool]) -> bool:
        mark = self._folder / f"held-{number}"
        mark.write_text(str(os.getpid()))
        until(lambda: stop() or (self._folder / "go").exists(), "somebody to say go")
        return not stop()

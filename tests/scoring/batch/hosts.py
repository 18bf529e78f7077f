"""The tests' end of a process that runs engines (`engine_host`)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
from fairlead_scoring.batch.engines import Crew, Event

from tests.live import MARK, kill_left
from tests.waiting import until

START = 150.0  # seconds, on a machine where everything else runs too
ANSWER = 120.0


class EngineHost:
    """One command at a time; `start` begins one, `events` and `finish` hear of it."""

    def __init__(self, name: str, folder: Path, repository: Path) -> None:
        self.name = name
        self.mark = f"engine-host-{name}-{os.getpid()}"
        self.log = folder / f"{name}.log"
        ours, theirs = socket.socketpair()
        environment = {**os.environ, MARK: self.mark, "PYTHONPATH": str(repository), "RAY_USAGE_STATS_ENABLED": "0"}
        command = [sys.executable, "-m", "tests.scoring.batch.engine_host", name, "--fd", str(theirs.fileno())]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=repository, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        theirs.close()
        self._connection = Connection(ours.detach())
        assert self._hear(START) == ("ready", None), self.log.read_text()

    def ask(self, name: str, *arguments: Any) -> Any:
        self.start(name, *arguments)
        return self.finish()

    def start(self, name: str, *arguments: Any) -> None:
        self._connection.send((name, arguments))

    def finish(self) -> Any:
        word, value = self._hear(ANSWER)
        assert word == "end", value
        return value

    def events(self) -> Iterator[tuple[Event, int]]:
        """Of a `run`, to its end: each event, and how many shards had been taken by then."""
        while True:
            first, second = self._hear(ANSWER)
            if isinstance(first, str):
                assert first == "end", second
                return
            yield first, second

    def run(self, task: dict[str, Any], count: int, *, nodes: int = 1, processes: int = 2) -> list[tuple[Event, int]]:
        self.start("run", Crew(task, nodes=nodes, processes=processes), count)
        return list(self.events())

    def processes(self, word: str) -> list[psutil.Process]:
        """Below this host, with this word on their command line."""
        return [each for each in psutil.Process(self._process.pid).children(recursive=True) if word in _command(each)]

    def close(self) -> None:
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        kill_left(self.mark, self.log.parent)
        self._process.wait(10)

    def _hear(self, timeout: float) -> Any:
        until(lambda: self._connection.poll(0.1) or self._process.poll() is not None, f"the engine {self.name}", timeout=timeout)
        try:
            return self._connection.recv()
        except EOFError:
            raise AssertionError(f"The engine host has ended:\n{self.log.read_text()[-4000:]}") from None


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []

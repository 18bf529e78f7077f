"""Engine `local`: as many processes as are asked for, on this machine. A process takes the next shard when it has handed over the last one."""

from __future__ import annotations

import queue
import threading
from typing import Iterable, Iterator, List, Optional

from fairlead_scoring.batch.engines import Crew, Event, Hopeless, Lost, Stop
from fairlead_scoring.batch.runner import ShardRunner
from fairlead_scoring.batch.shards import Shard
from fairlead_scoring.errors import cause_of

PAUSE = 0.2


class LocalEngine:
    name = "local"

    def run(self, crew: Crew, shards: Iterable[Shard], stop: Stop) -> Iterator[Event]:
        team = _Team(crew, shards, stop)
        try:
            yield from team.events()
        finally:
            team.end()


class _Team:
    """One thread per process."""

    def __init__(self, crew: Crew, shards: Iterable[Shard], stop: Stop) -> None:
        self._crew = crew
        self._shards = iter(shards)
        self._stop = stop
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        count = max(1, crew.processes) * max(1, crew.nodes)
        self._events: queue.Queue[Optional[Event]] = queue.Queue(maxsize=2 * count)
        self._threads: List[threading.Thread] = [
            threading.Thread(target=self._work, args=(number,), name=f"fairlead-shards-{number}") for number in range(count)
        ]

    def events(self) -> Iterator[Event]:
        for thread in self._threads:
            thread.start()
        working = len(self._threads)
        while working:
            event = self._events.get()
            if event is None:
                working -= 1
            else:
                yield event

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _has_ended(self) -> bool:
        return self._is_over.is_set() or self._stop()

    def _work(self, number: int) -> None:
        try:
            self._go_on(ShardRunner({**self._crew.task, "process": number}))
        finally:
            self._tell(None)  # whatever was raised: who listens waits for one of each thread

    def _go_on(self, runner: ShardRunner) -> None:
        try:
            while not self._has_ended():
                shard = self._next()
                if shard is None:
                    break
                self._run(runner, shard)
        finally:
            runner.close(at_once=self._has_ended())

    def _run(self, runner: ShardRunner, shard: Shard) -> None:
        try:
            event = runner.run(shard, self._has_ended)
        except Exception as error:  # noqa: BLE001  (of this machine: no room, no process; the job ends with what it says)
            event = Lost(shard.number, f"{type(error).__name__}: {error}", cause_of(error))
        for each in [*runner.take_interruptions(), event]:
            if each is not None:
                self._tell(each)
        if isinstance(event, (Hopeless, Lost)):
            self._is_over.set()

    def _next(self) -> Optional[Shard]:
        with self._lock:
            return next(self._shards, None)

    def _tell(self, event: Optional[Event]) -> None:
        while True:
            try:
                self._events.put(event, timeout=PAUSE)
                return
            except queue.Full:
                if self._is_over.is_set():
                    return  # nobody listens any more

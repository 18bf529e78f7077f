"""An engine without processes, for tests of what uses the seam: one shard at a time, in order, always the same."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, Mapping

from fairlead_scoring.batch.engines import Crew, Event, Hopeless, Lost, Stop
from fairlead_scoring.batch.shards import Shard


class SimpleEngine:
    """runner: what makes an object like `runner.ShardRunner` of a task."""

    name = "simple"

    def __init__(self, runner: Callable[[Mapping[str, Any]], Any]) -> None:
        self._runner = runner

    def run(self, crew: Crew, shards: Iterable[Shard], stop: Stop) -> Iterator[Event]:
        runner = self._runner({**crew.task, "process": 0})
        try:
            for shard in shards:
                event = None if stop() else runner.run(shard, stop)
                yield from runner.take_interruptions()
                if event is None:
                    return
                yield event
                if isinstance(event, (Hopeless, Lost)):
                    return
        finally:
            runner.close()

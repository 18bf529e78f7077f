"""The seam between the driver and what runs shards. An engine only schedules: it knows nothing of inputs, ledger, outputs and scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Iterator, Mapping, Protocol, Union

from fairlead_scoring.batch.shards import Outcome, Shard


@dataclass(frozen=True)
class Crew:
    """What every worker is told once: `task` is plain JSON that `runner.ShardRunner(task)` understands on whatever machine it wakes up."""

    task: Mapping[str, Any]
    nodes: int = 1
    processes: int = 1  # per node
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Interruption:
    """A node or worker went away through no fault of the user's; its shards are handed out again by the engine. For the job's record."""

    node: str
    reason: str


@dataclass(frozen=True)
class Hopeless:
    """No shard can be scored: init() raised, a package is missing, the bundle is damaged. Ends the job. cause: a code, as services have them."""

    cause: str
    message: str
    log_lines: tuple = ()  # type: ignore[type-arg]  # Python 3.8


@dataclass(frozen=True)
class Lost:
    """A shard that could not be done, by infrastructure (storage, disk): after the runner's own tries. Ends the job; it can be resumed.

    cause: a code, where more is known.
    """

    shard: int
    message: str
    cause: str = ""


Event = Union[Outcome, Interruption, Hopeless, Lost]
Stop = Callable[[], bool]


class Engine(Protocol):
    """Every shard comes back as exactly one Outcome or Lost, in any order; at most `in_flight` of the iterable are taken ahead of what came back."""

    name: str

    def run(self, crew: Crew, shards: Iterable[Shard], stop: Stop) -> Iterator[Event]:
        """Ends when all have come back, or within seconds after `stop()` says so (asked at least twice a second); ends its workers in either case."""
        ...

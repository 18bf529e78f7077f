"""One log of many containers, in the order of the engine's times: those that run, those that have ended, and the last lines of those that are gone."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from fairlead.targets.docker.engine import Engine
from fairlead.targets.lines import Filter

PAUSE = 0.3  # between two looks of one who follows
Line = tuple[bytes, bytes]  # the engine's time, RFC 3339 with nine digits, so that bytes compare as times do; and the line


def last_lines(engine: Engine, container: str, count: int) -> list[str]:
    return [text.decode("utf-8", "replace") for _, text in deque(of_container(engine, container, tail=count), maxlen=count)]


def of_container(engine: Engine, container: str, *, tail: int | None = None, since: bytes = b"") -> Iterator[Line]:
    """Whole lines, oldest first; `since` itself left out."""
    rest, began = b"", b""
    for piece in engine.log(container, tail=tail, since=_seconds(since)):
        time, _, text = piece.partition(b" ")
        began = began or time
        rest += text
        if rest.endswith(b"\n"):
            if began > since:
                yield began, rest[:-1]
            rest, began = b"", b""


def of_file(content: bytes) -> Iterator[Line]:
    """As `as_file` wrote them, whatever they hold; without what a power failure left of the last one."""
    for line in content.split(b"\n")[:-1]:
        time, _, text = line.partition(b" ")
        yield time, text


def as_file(lines: Iterable[Line]) -> bytes:
    return b"".join(time + b" " + text + b"\n" for time, text in lines)


def last_of(sources: Sequence[Iterable[Line]], count: int, wanted: Filter) -> tuple[bytes, list[Line]]:
    """The time of the newest line, and the last `count` that fit, of all together, oldest first."""
    newest, fitting = b"", deque[Line](maxlen=count)
    for time, text in heapq.merge(*sources):
        newest = time
        if wanted.fits(text):
            fitting.append((time, text))
    return newest, list(fitting)


def follow(engine: Engine, containers: Callable[[], list[str]], since: bytes, wanted: Filter, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """Those that are added, also by containers that come meanwhile, until it is over and all has been read. The engine is asked a few times a second."""
    newest: dict[str, bytes] = {}
    while True:
        over = is_over()  # asked first: what was written before the end is read after it
        found: list[Line] = []
        for container in containers():
            added = list(of_container(engine, container, since=newest.get(container, since)))
            newest[container] = added[-1][0] if added else newest.get(container, since)
            found += added
        yield from (text for _, text in sorted(found) if wanted.fits(text))
        if over:
            return
        threading.Event().wait(PAUSE)


def needed(count: int, wanted: Filter) -> int | None:
    """How many lines of each container have to be read; None: all, for few of them fit."""
    return count if wanted == Filter() else None


def _seconds(time: bytes) -> float | None:
    """A little less: the engine takes seconds as a float, which has not room for nanoseconds."""
    return datetime.fromisoformat(time.decode()[:26] + "+00:00").timestamp() - 1e-3 if time else None

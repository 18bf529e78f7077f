"""Steady traffic while something else goes wrong: the driver of all fault tests.

Requests run in a background thread, at a fixed rate or in a closed loop, over keep-alive connections that are never retried
in silence. Each answer is checked and recorded with its window, its revision and its latency; latency counts from the moment
a request was due, so a stalled server cannot hide behind a waiting client. Loopback only; bounded in count and in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

MOST_REQUESTS = 2_000_000
MOST_SECONDS = 1800.0
MOST_HEAD = 64 * 1024


class Kind(StrEnum):
    OK = "ok"
    STATUS = "status"  # a whole answer, not 2xx
    WRONG = "wrong"  # 2xx, and the check says no
    REFUSED = "refused"  # no connection
    RESET = "reset"  # the connection ended before the first byte of an answer
    TRUNCATED = "truncated"  # ... after it
    TIMEOUT = "timeout"
    MALFORMED = "malformed"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request; tag says which, so that a swapped answer is seen."""

    tag: int
    body: bytes
    method: str = "POST"
    path: str = "/score"
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)

    def wire(self, port: int) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: 127.0.0.1:{port}", f"content-length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole answer off the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """due and ended: time.monotonic(); reused: the connection had answered before; text: the cause, or the body of an error."""

    tag: int
    due: float
    ended: float
    kind: Kind
    status: int = 0
    revision: str = ""
    request_id: str = ""
    retry_after: str = ""
    reused: bool = False
    text: str = ""

    @property
    def latency(self) -> float:
        return self.ended - self.due


@dataclass(frozen=True)
class Record:
    """What happened, and the questions tests ask about it."""

    outcomes: Sequence[Outcome]

    def failed(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.kind is not Kind.OK]

    def kinds(self) -> Counter[str]:
        return Counter(f"{one.kind} {one.status}" if one.kind is Kind.STATUS else str(one.kind) for one in self.outcomes)

    def revisions(self) -> set[str]:
        return {one.revision for one in self.outcomes if one.revision}

    def percentile(self, share: float) -> float:
        """Seconds; NaN when there were no answers."""
        ordered = sorted(one.latency for one in self.outcomes)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan

    def explain(self) -> str:
        """For assertion messages: counts, and the first failures."""
        first = [f"{one.kind} {one.status} reused={one.reused} after {one.latency:.3f} s: {one.text[:160]}" for one in self.failed()[:5]]
        return f"{len(self.outcomes)} requests {dict(self.kinds())}; first failures: {first}"


def json_ask(tag: int) -> Ask:
    return Ask(tag=tag, body=b'{"tag": %d}' % tag)


def always(ask: Ask, reply: Reply) -> str:
    """A check that finds nothing."""
    del ask, reply
    return ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """rate: requests per second over all connections, None: closed loop. patience: seconds one request may take.

    check answers a sentence when the reply is wrong for the ask, and "" when it is right.
    """

    port: int
    connections: int = 8
    rate: float | None = None
    requests: int = 100_000
    seconds: float = 60.0
    patience: float = 30.0
    ask: Callable[[int], Ask] = json_ask
    check: Callable[[Ask, Reply], str] = always

    def __post_init__(self) -> None:
        if not 0 < self.requests <= MOST_REQUESTS or not 0 < self.seconds <= MOST_SECONDS:
            raise ValueError(f"A plan is bounded by {MOST_REQUESTS} requests and {MOST_SECONDS:.0f} s, not {self.requests} and {self.seconds}.")


@dataclass
class Traffic:
    """Use as a context manager; leaving it lets requests in flight finish. `record()` and `window()` are for afterwards."""

    plan: Plan
    _outcomes: list[Outcome] = field(default_factory=list, init=False)
    _windows: dict[str, list[tuple[float, float]]] = field(default_factory=dict, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _sent: int = field(default=0, init=False)
    _started: float = field(default=0.0, init=False)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._drive()), name="traffic", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join(self.plan.patience + 10)
        assert not self._thread.is_alive(), "the traffic driver did not end"

    @contextlib.contextmanager
    def marked(self, name: str) -> Iterator[None]:
        """A named window of time; the same name may be used again."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._windows.setdefault(name, []).append((begun, time.monotonic()))

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def answered(self) -> int:
        return len(self._outcomes)

    def record(self) -> Record:
        return Record(tuple(self._outcomes))

    def window(self, name: str, *, after: float = 0.0) -> Record:
        """All requests that were under way at some moment of the window, or until `after` seconds behind it."""
        spans = self._windows[name]
        return Record([one for one in self._outcomes if any(one.ended >= begun and one.due <= ended + after for begun, ended in spans)])

    def within(self, name: str) -> Record:
        """Those that were due and ended while the window was open: they waited for nothing that happened in it."""
        spans = self._windows[name]
        return Record([one for one in self._outcomes if any(begun <= one.due and one.ended <= ended for begun, ended in spans)])

    def wait(self) -> Record:
        """Until the plan's own bounds end it."""
        assert self._thread is not None
        self._thread.join(self.plan.seconds + self.plan.patience + 10)
        return self.record()

    async def _drive(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.connections):
                group.create_task(self._connection())

    async def _connection(self) -> None:
        link = Link(self.plan.port)
        try:
            while (turn := self._next()) is not None:
                tag, due = turn
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self._over.is_set():
                    return
                ask = self.plan.ask(tag)
                self._outcomes.append(await self._exchange(link, ask, due if self.plan.rate else time.monotonic()))
        finally:
            link.close()

    def _next(self) -> tuple[int, float] | None:
        """The next request's number and the moment it is due; None when the plan or the test is over."""
        tag, now = self._sent, time.monotonic()
        due = self._started + tag / self.plan.rate if self.plan.rate else now
        if self._over.is_set() or tag >= self.plan.requests or max(due, now) > self._started + self.plan.seconds:
            return None
        self._sent += 1
        return tag, due

    async def _exchange(self, link: Link, ask: Ask, due: float) -> Outcome:
        outcome = Outcome(tag=ask.tag, due=due, ended=0.0, kind=Kind.OK, reused=link.is_open)
        try:
            async with asyncio.timeout(self.plan.patience):
                reply = await link.exchange(ask)
        except (TimeoutError, Broken, OSError) as error:
            link.close()
            kind = error.kind if isinstance(error, Broken) else Kind.TIMEOUT if isinstance(error, TimeoutError) else Kind.RESET
            return replace(outcome, ended=time.monotonic(), kind=kind, text=str(error))
        seen = replace(
            outcome,
            ended=time.monotonic(),
            status=reply.status,
            revision=reply.headers.get("x-fairlead-revision", ""),
            request_id=reply.headers.get("x-request-id", ""),
            retry_after=reply.headers.get("retry-after", ""),
        )
        if not 200 <= reply.status < 300:
            return replace(seen, kind=Kind.STATUS, text=reply.body[:300].decode("utf-8", "replace"))
        wrong = self.plan.check(ask, reply)
        return replace(seen, kind=Kind.WRONG, text=wrong) if wrong else seen


class Broken(Exception):
    """No whole answer came back."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Link:
    """One keep-alive connection, opened when it is needed and closed when an answer says so."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def is_open(self) -> bool:
        return self._streams is not None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def exchange(self, ask: Ask) -> Reply:
        """Raises Broken; the connection is then of no use."""
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=MOST_HEAD)
            except OSError as error:
                raise Broken(Kind.REFUSED, str(error)) from error
        reader, writer = self._streams
        with contextlib.suppress(ConnectionError):  # an answer may lie there although the other end is gone
            writer.write(ask.wire(self._port))
            await writer.drain()
        reply = await read_reply(reader)
        if reply.closes:
            self.close()
        return reply


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """One answer, 1xx skipped; raises Broken."""
    head = await _head(reader)
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
        raise Broken(Kind.MALFORMED, f"not an HTTP answer: {lines[0][:80]!r}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    status = int(parts[1])
    if 100 <= status < 200:
        return await read_reply(reader)
    try:
        body = await _body(reader, headers)
    except (asyncio.IncompleteReadError, OSError, ValueError) as error:
        raise Broken(Kind.TRUNCATED, f"status {status}, then {error!r}") from error
    return Reply(status=status, headers=headers, body=body)


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise Broken(Kind.TRUNCATED if error.partial else Kind.RESET, f"the connection ended after {len(error.partial)} bytes") from error
    except (asyncio.LimitOverrunError, OSError) as error:
        raise Broken(Kind.RESET if isinstance(error, OSError) else Kind.MALFORMED, str(error)) from error


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read() if headers.get("connection", "").lower() == "close" else b""

"""A front without a network: connections on transports that remember, and a worker whose end of the link the test holds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead_scoring.front.app import Front
from fairlead_scoring.front.limits import Limits
from fairlead_scoring.front.protocol import Connection
from fairlead_scoring.front.remote_worker import RemoteWorker
from fairlead_scoring.front.settings import FrontSettings
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker import link
from fairlead_scoring.worker.batch_frame import Answered, Asked, pack_answer, unpack_requests

CONTRACT: dict[str, Any] = {
    "kind": "text", "inputs": [], "output": None, "swagger": None, "sample": None, "headers": False, "methods": ["GET", "POST"], "batching": None,
    "concurrency": 1, "async": False, "dialects": ["score"], "model": {"name": "m", "version": "1"}, "load_ms": 1.0, "python": "3.11",
}  # fmt: skip


class MemoryTransport(asyncio.Transport):
    """What the connection did to its transport."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.ended = ""  # "closed" or "aborted"
        self.has_sent_eof = False
        self.is_reading_paused = False
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, f"written after it was {self.ended}: {bytes(data)!r}"
        assert not self.has_sent_eof
        self.sent += data

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_sent_eof = True

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = (high, low)

    def get_write_buffer_size(self) -> int:
        return self.unsent


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Client:
    connection: Connection
    transport: MemoryTransport

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def responses(self, *, to_head: bool = False) -> list[Response]:
        """Every answer so far, interim ones too, taken apart by their lengths; whatever does not add up is an error."""
        rest, found = bytes(self.transport.sent), []
        while rest:
            head, end, rest = rest.partition(b"\r\n\r\n")
            assert end, head
            status_line, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = b"" if to_head else rest[: int(headers.get("content-length", "0"))]
            assert to_head or len(body) == int(headers.get("content-length", "0"))
            rest = rest[len(body) :]
            found.append(Response(int(status_line.split()[1]), headers, body))
        return found

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.responses()]

    def leave(self) -> None:
        """The kernel says that the client is gone."""
        self.connection.connection_lost(None)


@dataclass
class Wire:
    """`now` is the front's clock; `log` the lines it wrote."""

    settings: FrontSettings = field(default_factory=FrontSettings)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._log, log_in = os.pipe()
        os.set_blocking(self._log, False)
        self._log_in = log_in
        self.front = Front(self.settings, LineWriter(log_in, form=self.settings.log_form), self.loop)
        self.front.clock = lambda: self.now
        self.told: list[tuple[int, dict[str, Any]]] = []
        self.front.pool.tell_supervisor = lambda kind, message: self.told.append((kind, message))
        self.workers: dict[str, link.Link] = {}

    def add_worker(self, ident: str = "w1", revision: str = "r1", *, coroutine: bool = False, **contract: Any) -> link.Link:
        ours, theirs = link.pair()
        told = {"worker": ident, "pid": 1, "generation": 1, "revision": revision, "contract": {**CONTRACT, "async": coroutine, **contract}, "spec": {}}
        worker = RemoteWorker(ident, theirs, told, self.loop)
        self.front.pool.add(worker)
        self.front.scoring.use(worker.contract, revision)
        self.workers[ident] = link.Link(ours)
        self.workers[ident].sock.settimeout(5)
        return self.workers[ident]

    def connect(self) -> Client:
        connection = Connection(self.front)
        transport = MemoryTransport()
        connection.connection_made(transport)
        return Client(connection, transport)

    def turn(self) -> None:
        """A few turns of the loop: what was scheduled is done, what was sent is read."""
        for _ in range(4):
            self.loop.run_until_complete(asyncio.sleep(0))

    def asked(self, ident: str = "w1") -> list[Asked]:
        """The next batch that the worker gets."""
        self.turn()
        while True:
            frame = self.workers[ident].receive()
            if frame.kind == link.SCORE:
                return unpack_requests(frame)

    def answer(self, asked: Asked, body: bytes = b"{}", *, ident: str = "w1", status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        answered = Answered(asked.ident, status, False, False, list((headers or {}).items()), b"", 1.5, 1)
        self.workers[ident].send(link.ANSWERS, pack_answer(answered, len(body)) + body)
        self.turn()

    def log(self) -> str:
        self.turn()
        self.front.lines.flush()
        try:
            return os.read(self._log, 1 << 20).decode()
        except BlockingIOError:
            return ""

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.front.tick()

    def close(self) -> None:
        for worker in list(self.front.pool.workers.values()):
            worker.close()
        for end in self.workers.values():
            end.close()
        for timer in list(self.front.connections):
            timer.connection_lost(None)
        self.loop.close()
        os.close(self._log)
        os.close(self._log_in)


def wire(**limits: Any) -> Wire:
    return Wire(FrontSettings(limits=Limits(**limits)))


def get(path: str = "/version", *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "host: a", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(body: bytes, *headers: str, path: str = "/score", version: str = "1.1") -> bytes:
    return get(path, f"content-length: {len(body)}", *headers, method="POST", version=version) + body


def scored(one: Wire, *headers: str, answer: dict[str, str] | None = None, status: int = 200) -> Response:
    client = one.connect()
    client.send(post(b"{}", *headers))
    one.answer(one.asked()[0], headers=answer, status=status)
    return client.responses()[0]


def keys_file(folder: Path, *keys: str) -> Path:
    file = folder / "keys.json"
    file.write_text(json.dumps(dict(zip(("primary", "secondary"), (f"sha256:{hashlib.sha256(key.encode()).hexdigest()}" for key in keys), strict=False))))
    return file

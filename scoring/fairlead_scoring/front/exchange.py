"""One request and its answer on a connection; knows HTTP framing, not what the answer says."""

from __future__ import annotations

import http
from collections.abc import Callable
from typing import TYPE_CHECKING

from fairlead_scoring.front.body import Body

if TYPE_CHECKING:
    from fairlead_scoring.front.ids import Ids
    from fairlead_scoring.front.protocol import Connection

NO_BODY = frozenset((204, 304))


def status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES = {status: status_line(status) for status in range(100, 600)}


class Exchange:
    """States: receiving → complete → (waiting → running →) answered. `gone`: the client has closed the connection."""

    __slots__ = (
        "answered",
        "batch_rows",
        "body",
        "chunked",
        "complete",
        "connection",
        "dialect",
        "gone",
        "headers",
        "http_10",
        "ident",
        "ids",
        "keep_alive",
        "last_chunk_at",
        "method",
        "on_abandon",
        "on_writable",
        "path",
        "query",
        "queue_ms",
        "queued_at",
        "refusal",
        "revision",
        "route",
        "run_ms",
        "sent_bytes",
        "started",
        "started_streaming",
        "status",
        "url",
        "worker",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.method = b""
        self.url = b""
        self.path = b""
        self.query = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = Body()
        self.keep_alive = True
        self.http_10 = False
        self.complete = False
        self.answered = False
        self.gone = False
        self.started_streaming = False
        self.chunked = False
        self.refusal: tuple[int, str] | None = None
        self.route = ""
        self.dialect = 0
        self.ids: Ids | None = None
        self.started = connection.since
        self.queued_at = 0.0
        self.last_chunk_at = 0.0
        self.queue_ms = 0.0
        self.run_ms = -1.0
        self.batch_rows = 0
        self.ident = 0
        self.status = 0
        self.sent_bytes = 0
        self.worker = ""
        self.revision = ""  # of the worker that it was given to
        self.on_abandon: Callable[[], None] | None = None
        self.on_writable: Callable[[], None] | None = None

    def header(self, name: bytes) -> bytes:
        """The first value of a header, b"" when it is absent. `name` in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""

    def send(self, status: int, head: bytes, body: bytes | memoryview) -> None:
        """Answer with whole bytes. `head`: header lines, each ended by CRLF, without length and connection."""
        if self.answered or self.gone:
            return
        self.answered = True
        self.status = status
        self.sent_bytes = len(body)
        length = b"" if status in NO_BODY else b"content-length: %d\r\n" % len(body)
        closing = b"" if self._stays_open() else b"connection: close\r\n"
        front = self.connection.front
        content = b"%b%b%b%b%b\r\n" % (STATUS_LINES[status], front.date_line, head, length, closing)
        if self.method == b"HEAD" or status in NO_BODY:
            body = b""
        transport = self.connection.transport
        if len(body) > 65536:
            transport.write(content)
            transport.write(body)
        else:
            transport.write(content + body)
        self._finish()

    def start_stream(self, status: int, head: bytes) -> None:
        """Answer chunk by chunk: `send_chunk` as often as wanted, then `end_stream`."""
        self.status = status
        self.started_streaming = True
        self.chunked = not self.http_10
        if not self.chunked:
            self.keep_alive = False
        framing = b"transfer-encoding: chunked\r\n" if self.chunked else b""
        closing = b"" if self._stays_open() else b"connection: close\r\n"
        content = b"%b%b%b%b%b\r\n" % (STATUS_LINES[status], self.connection.front.date_line, head, framing, closing)
        self.connection.transport.write(content)

    def send_chunk(self, chunk: bytes | memoryview) -> None:
        if self.gone or self.method == b"HEAD":
            return
        self.sent_bytes += len(chunk)
        self.connection.transport.write(b"%x\r\n%b\r\n" % (len(chunk), bytes(chunk)) if self.chunked else bytes(chunk))

    def end_stream(self) -> None:
        if self.gone or self.answered:
            return
        self.answered = True
        if self.chunked and self.method != b"HEAD":
            self.connection.transport.write(b"0\r\n\r\n")
        self._finish()

    def break_stream(self) -> None:
        """The answer cannot be finished: the connection is cut, so that the client does not take half for whole."""
        if self.gone or self.answered:
            return
        self.answered = True
        self.connection.front.note_answer(self)
        self.connection.abort()

    def continue_100(self) -> None:
        self.connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def abandon(self) -> None:
        """The client has gone."""
        self.gone = True
        if not self.answered:
            if self.on_abandon is not None:
                self.on_abandon()
            self.connection.front.note_abandoned(self)
        self.close_body()

    @property
    def is_write_paused(self) -> bool:
        return self.connection.write_paused_since is not None

    def writable(self) -> None:
        if self.on_writable is not None:
            self.on_writable()

    def close_body(self) -> None:
        self.connection.front.release_buffered(self)
        self.body.close()

    def _stays_open(self) -> bool:
        if not self.complete or self.connection.front.draining:
            self.keep_alive = False
        if self.keep_alive or not self.http_10:
            return self.keep_alive
        return False

    def _finish(self) -> None:
        self.close_body()
        self.connection.front.note_answer(self)
        self.connection.done(self)

"""One request and its answer on a connection; knows HTTP framing, not what the answer says."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING

from fairlead_scoring.front.body import Body

if TYPE_CHECKING:
    from fairlead_scoring.front.ids import Ids
    from fairlead_scoring.front.protocol import Connection
    from fairlead_scoring.front.routes import Route

NO_BODY = frozenset((204, 304))
BROKEN_EVENT = b'\n\nevent: error\ndata: {"message": "An unexpected error ended the stream. Check the logs for more info."}\n\n'


def status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES = {status: status_line(status) for status in range(200, 600)}


class Exchange:
    """States: receiving → complete → (waiting → running →) answered. `gone`: the client has closed the connection.

    `ident` is 0 until the pool has admitted it, `worker` is empty until one has been given it.
    """

    __slots__ = (
        "answered", "batch_rows", "body", "broken", "cancelled_at", "chunked", "complete", "connection", "dialect", "expects_continue", "fields",
        "gone", "headers", "http_10", "ident", "ids", "keep_alive", "last_chunk_at", "method", "of_events", "owed_acks", "path", "query", "queue_ms",
        "queued_at", "refusal", "revision", "route", "run_ms", "sent_bytes", "started", "started_streaming", "status", "target", "unwelcome", "url",
        "worker",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.method = b""
        self.url = b""
        self.path = b""
        self.query = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.fields: dict[bytes, bytes] = {}  # of repeated headers, the first
        self.body = Body()
        self.keep_alive = True
        self.http_10 = False
        self.expects_continue = False
        self.complete = False
        self.answered = False
        self.gone = False
        self.broken = False  # the answer was cut
        self.of_events = False  # the answer is a stream of server-sent events
        self.started_streaming = False
        self.chunked = False
        self.refusal: tuple[int, str] | None = None
        self.unwelcome = ""  # why its token is no good
        self.target: Route | None = None
        self.route = ""
        self.dialect = 0
        self.ids: Ids | None = None
        self.started = connection.since
        self.queued_at = 0.0
        self.last_chunk_at = 0.0
        self.cancelled_at = 0.0
        self.owed_acks = 0  # chunks of the stream that a slow client has yet to take
        self.queue_ms = 0.0
        self.run_ms = -1.0
        self.batch_rows = 0
        self.ident = 0
        self.status = 0
        self.sent_bytes = 0
        self.worker = ""
        self.revision = ""  # of the worker that it was given to

    def header(self, name: bytes) -> bytes:
        """The first value of a header, b"" when it is absent. `name` in lower case."""
        return self.fields.get(name, b"")

    def send(self, status: int, head: bytes, body: bytes | memoryview) -> None:
        """Answer with whole bytes. `head`: header lines, each ended by CRLF, without length and connection."""
        if self.answered or self.gone:
            return
        self.answered = True
        self.status = status
        length = b"" if status in NO_BODY else b"content-length: %d\r\n" % len(body)
        closing = b"" if self._stays_open() else b"connection: close\r\n"
        connection = self.connection
        content = b"%b%b%b%b%b\r\n" % (STATUS_LINES[status], connection.front.date_line, head, length, closing)
        if self.method == b"HEAD" or status in NO_BODY:
            body = b""
        self.sent_bytes = len(body)
        transport = connection.transport
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
        self.of_events = b"text/event-stream" in head
        self.chunked = not self.http_10 and status not in NO_BODY
        if self.http_10:
            self.keep_alive = False
        framing = b"transfer-encoding: chunked\r\n" if self.chunked else b""
        closing = b"" if self._stays_open() else b"connection: close\r\n"
        content = b"%b%b%b%b%b\r\n" % (STATUS_LINES[status], self.connection.front.date_line, head, framing, closing)
        self.connection.transport.write(content)

    def send_chunk(self, chunk: bytes | memoryview) -> None:
        if self.gone or self.answered or not chunk or self.status in NO_BODY:
            return
        self.sent_bytes += len(chunk)
        self.connection.transport.write(b"%x\r\n%b\r\n" % (len(chunk), bytes(chunk)) if self.chunked else bytes(chunk))

    def end_stream(self) -> None:
        if self.gone or self.answered:
            return
        self.answered = True
        if self.chunked:
            self.connection.transport.write(b"0\r\n\r\n")
        self._finish()

    def break_stream(self) -> None:
        """The answer cannot be finished: a last event says so; else the connection is cut, so that the client does not take half for whole."""
        if self.gone or self.answered:
            return
        self.broken = True
        if self.of_events:
            self.send_chunk(BROKEN_EVENT)
            self.end_stream()
            return
        self.answered = True
        self.connection.front.note_answer(self)
        self.connection.abort()

    def continue_100(self) -> None:
        self.expects_continue = False
        self.connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def abandon(self) -> None:
        """The client has gone."""
        self.gone = True
        front = self.connection.front
        if not self.answered:
            if self.ident:
                front.pool.abandoned(self)
            front.note_abandoned(self)
        self.close_body()

    @property
    def is_write_paused(self) -> bool:
        return self.connection.write_paused_since is not None

    def close_body(self) -> None:
        body = self.body
        if body.size:
            self.connection.front.buffered -= body.size
        body.close()

    def _stays_open(self) -> bool:
        connection = self.connection
        if not self.complete or connection.front.draining or connection.is_last(self):
            self.keep_alive = False
        return self.keep_alive

    def _finish(self) -> None:
        self.close_body()
        self.connection.front.note_answer(self)
        self.connection.done(self)

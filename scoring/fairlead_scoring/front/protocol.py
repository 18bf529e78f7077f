"""HTTP/1.1 on one connection: httptools parses, limits are checked while bytes arrive, exchanges are answered in order.

Why not an ASGI server: see ADR 5. What this class owes the network is in docs/wire-contract.md and tests/scoring/front.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import httptools

from fairlead_scoring.front.body import BodyTooLarge
from fairlead_scoring.front.exchange import Exchange

if TYPE_CHECKING:
    from fairlead_scoring.front.app import Front

WRITE_HIGH_WATER = 1 << 20


class Connection(asyncio.Protocol):
    """One client's connection. `current` is the exchange being answered, `pipeline` those that wait behind it."""

    def __init__(self, front: Front, *, is_for_operators: bool = False) -> None:
        self.front = front
        self.is_for_operators = is_for_operators  # the metrics port: health and metrics, nothing else
        self.limits = front.limits
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.current: Exchange | None = None
        self.incoming: Exchange | None = None
        self.pipeline: deque[Exchange] = deque()
        self.since = front.clock()  # when the phase began: idle, or receiving
        self.header_bytes = 0
        self.write_paused_since: float | None = None
        self.read_paused = False
        self.closing = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self.front.connections.add(self)
        if len(self.front.connections) > self.limits.connections:
            self._refuse_connection()

    def connection_lost(self, _error: Exception | None) -> None:
        self.front.connections.discard(self)
        for exchange in (self.current, self.incoming, *self.pipeline):
            if exchange is not None:
                exchange.abandon()
        self.current = self.incoming = None
        self.pipeline.clear()
        if not self.front.connections:
            self.front.connection_count_is_zero()

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._after_upgrade_request()
        except httptools.HttpParserError as error:
            self._broken(error)
        if self.header_bytes > self.limits.headers:
            self._fail(431, f"The request's headers are larger than {self.limits.headers} bytes; send less.")

    # Parser callbacks, in the order in which they come.
    def on_message_begin(self) -> None:
        self.incoming = Exchange(self)
        self.header_bytes = 0
        self.since = self.front.clock()

    def on_url(self, url: bytes) -> None:
        assert self.incoming is not None
        self.incoming.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes | None) -> None:
        assert self.incoming is not None
        self.incoming.headers.append((name.lower(), value or b""))
        self._count(len(name) + len(value or b"") + 4)

    def _count(self, size: int) -> None:
        self.header_bytes += size
        if self.header_bytes > self.limits.headers or len(self.incoming.headers) > self.limits.header_count:  # type: ignore[union-attr]
            self.header_bytes = self.limits.headers + 1
            raise _HeadersTooLarge

    def on_headers_complete(self) -> None:
        exchange = self.incoming
        assert exchange is not None
        parser = self.parser
        exchange.method = parser.get_method()
        exchange.keep_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        exchange.http_10 = parser.get_http_version() == "1.0"
        self.header_bytes = 0
        self.front.begin(exchange)

    def on_body(self, piece: bytes) -> None:
        exchange = self.incoming
        if exchange is None or exchange.answered:
            return
        try:
            exchange.body.add(piece, self.limits.body)
            self.front.count_buffered(exchange, len(piece))
        except BodyTooLarge:
            self.front.refuse_body(exchange, exchange.body.size)

    def on_message_complete(self) -> None:
        exchange, self.incoming = self.incoming, None
        if exchange is None:
            return
        exchange.complete = True
        if exchange.answered:
            return
        if self.current is None:
            self.current = exchange
            self.front.handle(exchange)
            return
        self.pipeline.append(exchange)
        if len(self.pipeline) >= self.limits.pipelined:
            self._pause_reading()

    # What the exchange calls.
    def is_turn_of(self, exchange: Exchange) -> bool:
        """Whether nothing that came before it is still to be answered."""
        return self.current is exchange or (self.current is None and not self.pipeline)

    def done(self, exchange: Exchange) -> None:
        """The exchange has been answered in full: close, or go on to the next."""
        if not exchange.keep_alive or not exchange.complete:
            self.close()
            return
        self.current = None
        self.since = self.front.clock()
        if self.read_paused and self.write_paused_since is None:
            self.read_paused = False
            self.transport.resume_reading()
        if self.pipeline:
            self.current = self.pipeline.popleft()
            self.front.handle(self.current)

    def close(self) -> None:
        self.closing = True
        self.transport.close()

    def abort(self) -> None:
        self.closing = True
        self.transport.abort()

    @property
    def is_idle(self) -> bool:
        return self.current is None and self.incoming is None and not self.pipeline

    # Flow control.
    def pause_writing(self) -> None:
        self.write_paused_since = self.front.clock()

    def resume_writing(self) -> None:
        self.write_paused_since = None
        if self.current is not None:
            self.current.writable()

    def _pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    # What is wrong before there is a request to answer.
    def _broken(self, error: httptools.HttpParserError) -> None:
        if self.header_bytes > self.limits.headers:
            return
        if isinstance(error, httptools.HttpParserCallbackError):
            self.front.report(error.__context__ or error)
            self._fail(500, "An unexpected internal error occurred. Check the logs for more info.")
            return
        self._fail(400, f"The request is not valid HTTP/1.1 ({str(error) or type(error).__name__}).")

    def _after_upgrade_request(self) -> None:
        """No protocol is upgraded to here: the request is answered as plain HTTP and the connection ends after it."""
        exchange = self.current or self.incoming
        if exchange is not None:
            exchange.keep_alive = False
            if exchange is self.incoming:
                self.on_message_complete()

    def _fail(self, status: int, message: str) -> None:
        if self.closing:
            return
        exchange = self.incoming or Exchange(self)
        exchange.keep_alive = False
        self.incoming = None
        if self.current is None:
            self.current = exchange
            self.front.refuse(exchange, status, message)
        else:
            exchange.refusal = (status, message)
            exchange.complete = True
            self.pipeline.append(exchange)

    def _refuse_connection(self) -> None:
        self.current = Exchange(self)
        self.current.keep_alive = False
        self.front.refuse(self.current, 503, f"Too many connections ({self.limits.connections}); try again later.")

    def sweep(self, now: float) -> None:
        """Called once a second: what is too slow is answered 408 or closed."""
        waited = now - self.since
        limits = self.limits
        if self.write_paused_since is not None and now - self.write_paused_since > limits.write_stall:
            self.abort()
        elif self.current is not None:
            return
        elif self.incoming is None:
            if waited > (limits.keep_alive if self.header_bytes == 0 else limits.header_time):
                self.close()
        elif waited > limits.header_time and self.incoming.body.size < limits.body_rate * (waited - limits.header_time + 1):
            self._fail(
                408,
                f"The request did not arrive in time; send headers within {limits.header_time:g} s and the body faster than {limits.body_rate} bytes/s.",
            )


class _HeadersTooLarge(Exception):
    """Stops the parser; data_received answers 431."""

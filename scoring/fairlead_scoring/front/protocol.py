"""HTTP/1.1 on one connection: httptools parses, limits are checked while bytes arrive, exchanges are answered in order.

Why not an ASGI server: see ADR 5. What this class owes the network is in docs/wire-contract.md and tests/scoring/front.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import httptools

from fairlead_scoring.front.body import BodyBroken, BodyTooLarge
from fairlead_scoring.front.exchange import Exchange

if TYPE_CHECKING:
    from fairlead_scoring.front.app import Front

WRITE_HIGH_WATER = 1 << 20
READ_MOST = 256 * 1024  # what a transport hands over at once
DISCARD_LEAST = 64 << 20  # bytes of a refused request that are read so that its client sees the answer
PIPELINE_MOST = 256  # further requests of one read are a flood, not a pipeline


class Connection(asyncio.Protocol):
    """One client's connection. `current` is the exchange being answered, `pipeline` those that wait behind it.

    `deaf`: what still arrives is read and thrown away. `closing`: nothing more will be answered.
    """

    def __init__(self, front: Front, *, is_for_operators: bool = False) -> None:
        self.front = front
        self.is_for_operators = is_for_operators  # the metrics port: health and metrics, nothing else
        self.limits = front.limits
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.current: Exchange | None = None
        self.incoming: Exchange | None = None
        self.pipeline: deque[Exchange] = deque()
        self.since = front.clock()  # when the phase began: idle, receiving, or lingering
        self.header_bytes = 0
        self.in_head = False
        self.quiet = 0  # bytes of a request since the parser last had something to say
        self.discarded = 0
        self.write_paused_since: float | None = None
        self.unsent = 0
        self.read_paused = False
        self.half_closed = False
        self.deaf = False
        self.closing = False
        self._advancing = False
        self._upgrade: Exchange | None = None  # its body comes after the parser has taken it for finished

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self.front.connections.add(self)
        if len(self.front.connections) > self.limits.connections:
            self.deaf = True
            self._fail(503, f"Too many connections ({self.limits.connections}); try again later.")

    def connection_lost(self, _error: Exception | None) -> None:
        self.front.connections.discard(self)
        self.closing = self.deaf = True
        for exchange in (self.current, self.incoming, *self.pipeline):
            if exchange is not None:
                exchange.abandon()
        self.current = self.incoming = None
        self.pipeline.clear()
        if not self.front.connections:
            self.front.connection_count_is_zero()

    def eof_received(self) -> bool:
        """Half-closed: what is being answered still is; what would have to wait for a worker is given up, its client has probably gone."""
        if self.current is None or self.closing or not self.transport.can_write_eof():
            return False
        self.half_closed = True
        self.front.loop.call_soon(self._give_up_waiting)  # after a worker that is free has got it
        return True

    def data_received(self, data: bytes) -> None:
        rest = self._feed(data)
        while rest:
            rest = self._feed(rest)
        if self.incoming is not None:  # what the parser holds back, a header without end, is nowhere else counted
            self.quiet += len(data)
            if self.quiet > self.limits.headers + READ_MOST:
                self._too_large()

    def _feed(self, data: bytes | memoryview) -> memoryview | None:
        """What follows a request that asked for another protocol, else None."""
        if self.deaf:
            self._discard(len(data))
            return None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = memoryview(data)[upgrade.args[0] :]
            return rest if self._reads_on_after_upgrade() else None
        except httptools.HttpParserError as error:
            self._broken(error)
        return None

    # Parser callbacks, in the order in which they come.
    def on_message_begin(self) -> None:
        if self._upgrade is not None:
            return
        self.incoming = Exchange(self)
        self.header_bytes = self.quiet = 0
        self.in_head = True
        self.since = self.front.clock()

    def on_url(self, url: bytes) -> None:
        if self._upgrade is None:
            self.incoming.url += url  # type: ignore[union-attr]
            self.header_bytes += len(url)

    def on_header(self, name: bytes, value: bytes | None) -> None:
        self.header_bytes += len(name) + len(value or b"") + 4
        if self.header_bytes > self.limits.headers:
            raise _HeadTooLarge
        if self.in_head:  # else a trailer, which nobody here has a use for
            self.incoming.headers.append((name.lower(), value or b""))  # type: ignore[union-attr]
            if len(self.incoming.headers) > self.limits.header_count:  # type: ignore[union-attr]
                raise _HeadTooLarge

    def on_headers_complete(self) -> None:
        exchange = self.incoming
        if exchange is None or self._upgrade is not None:
            return
        if self.header_bytes > self.limits.headers:
            raise _HeadTooLarge
        parser = self.parser
        self.in_head = False
        exchange.method = parser.get_method()
        version = parser.get_http_version()
        exchange.http_10 = version == "1.0"
        exchange.keep_alive = version == "1.1" and exchange.method != b"CONNECT" and parser.should_keep_alive()
        headers = exchange.headers
        exchange.fields = dict(reversed(headers))
        if version not in ("1.1", "1.0"):
            exchange.refusal = (505, f"HTTP/{version} is not spoken here; use HTTP/1.1.")
        if parser.should_upgrade() and (exchange.header(b"content-length").strip(b"0") or exchange.header(b"transfer-encoding")):
            self._upgrade = exchange
        self.front.begin(exchange)

    def on_body(self, piece: bytes) -> None:
        exchange = self.incoming
        if exchange is None or exchange.answered or exchange.refusal is not None:
            return
        self.quiet = 0
        body, front = exchange.body, self.front
        before = body.size
        wrong = None
        try:
            body.add(piece, self.limits.body)
        except BodyTooLarge as error:
            wrong = (413, str(error))
        except BodyBroken as error:
            wrong = (400, f"The body is not what its Content-Encoding says: {error}.")
        front.buffered += body.size - before
        if wrong is not None:
            self.refuse_incoming(exchange, *wrong)
        elif front.buffered > self.limits.buffered:
            self.refuse_incoming(exchange, 429, "The service holds too many large requests at once. Try again later.")

    def on_message_complete(self) -> None:
        exchange = self.incoming
        if exchange is None or self._upgrade is not None:
            return
        self.incoming = None
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
        if len(self.pipeline) > PIPELINE_MOST:
            raise _PipelineTooLong

    # What the front and the exchange call.
    def refuse_incoming(self, exchange: Exchange, status: int, message: str) -> None:
        """Its body is not wanted: answer now if it is its turn, else when it is."""
        exchange.refusal = (status, message)
        exchange.close_body()
        self.answer_early(exchange)

    def answer_early(self, exchange: Exchange) -> None:
        """Before the body is in; the connection ends after the answer, because what follows is that body."""
        if self.current is None and not self.pipeline and exchange.refusal is not None:
            self.current = exchange
            exchange.keep_alive = False
            self.front.refuse(exchange, *exchange.refusal)

    def is_turn_of(self, exchange: Exchange) -> bool:
        """Whether nothing that came before it is still to be answered."""
        return self.current is exchange or (self.current is None and not self.pipeline)

    def is_last(self, exchange: Exchange) -> bool:
        """Whether nothing can come after it."""
        return self.half_closed and self.current is exchange and not self.pipeline

    def done(self, exchange: Exchange) -> None:
        """The exchange has been answered in full: close, or go on to the next."""
        if not exchange.keep_alive or not exchange.complete:
            self.close()
            return
        self.current = None
        self.since = self.front.clock()
        if self.read_paused:
            self._resume_reading()
        if self.pipeline and not self._advancing:
            self._advance()
        elif self.incoming is not None and not self.pipeline:
            self._turn_of_incoming(self.incoming)

    def _advance(self) -> None:
        """A loop, because an answer that is given at once calls `done` before `handle` returns."""
        self._advancing = True
        while self.pipeline and self.current is None and not self.closing:
            self.current = self.pipeline.popleft()
            self.front.handle(self.current)
        self._advancing = False
        if self.half_closed and self.current is not None:
            self.front.loop.call_soon(self._give_up_waiting)

    def _turn_of_incoming(self, exchange: Exchange) -> None:
        if exchange.refusal is not None:
            self.answer_early(exchange)
        elif exchange.expects_continue:
            exchange.continue_100()

    def close(self) -> None:
        """When more is on its way, closing at once would reset the connection and take the answer with it: linger until the client has read it."""
        unread = self.incoming is not None or self.deaf or bool(self.pipeline)
        self.closing = self.deaf = True
        self.since = self.front.clock()
        if not unread or self.half_closed:
            self.transport.close()
            return
        if self.read_paused:
            self._resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def abort(self) -> None:
        self.closing = self.deaf = True
        self.transport.abort()

    def end(self) -> None:
        """What has been answered is still sent."""
        self.closing = self.deaf = True
        self.transport.close()

    @property
    def is_idle(self) -> bool:
        if self.closing:
            return not self.transport.get_write_buffer_size()
        return self.current is None and self.incoming is None and not self.pipeline

    # Flow control.
    def pause_writing(self) -> None:
        self.write_paused_since = self.front.clock()
        self.unsent = self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        self.write_paused_since = None
        if self.current is None:
            if self.read_paused:
                self._resume_reading()
        elif self.current.owed_acks:
            self.front.pool.writable(self.current)

    def _pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self.closing or (self.write_paused_since is None and len(self.pipeline) < self.limits.pipelined):
            self.read_paused = False
            self.transport.resume_reading()

    # What is wrong before there is a request to answer.
    def _broken(self, error: httptools.HttpParserError) -> None:
        """Nothing after this can be understood."""
        cause = error.__context__
        if isinstance(cause, _HeadTooLarge):
            self._too_large()
        elif isinstance(cause, _PipelineTooLong):
            self._fail(429, f"More than {PIPELINE_MOST} requests wait on this connection; read the answers before sending more.")
        elif isinstance(error, httptools.HttpParserCallbackError):
            self.front.report(cause or error)
            self._fail(500, "An unexpected internal error occurred. Check the logs for more info.")
        elif self.current is None or self.current.keep_alive:  # else it came after the last request, and is no request
            self._fail(400, f"The request is not valid HTTP ({str(error) or type(error).__name__}).")
        self.deaf = True

    def _too_large(self) -> None:
        self._fail(431, f"The request's headers are larger than {self.limits.headers} bytes, or more than {self.limits.header_count}; send less.")

    def _reads_on_after_upgrade(self) -> bool:
        """No protocol is upgraded to here (RFC 9110 lets a server ignore it). The parser leaves out the body of such a request: another one reads it."""
        exchange = self._upgrade
        if exchange is not None:
            self.parser = httptools.HttpRequestParser(self)
            names = (b"content-length", b"transfer-encoding")
            framing = b"".join(b"%b: %b\r\n" % (name, exchange.header(name)) for name in names if exchange.header(name))
            self._feed(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
            self._upgrade = None
        elif self.parser.get_method() == b"CONNECT":
            self.deaf = True
        return not self.deaf

    def _fail(self, status: int, message: str) -> None:
        """The last answer on this connection."""
        self.deaf = True
        if self.closing:
            return
        exchange = self.incoming or Exchange(self)
        self.incoming = None
        exchange.keep_alive = False
        self.front.identify(exchange)
        exchange.refusal = (status, message)
        exchange.close_body()
        exchange.complete = True
        if self.current is None:
            self.current = exchange
            self.front.refuse(exchange, status, message)
        else:
            self.pipeline.append(exchange)

    # Clients that are slow, or have gone.
    def sweep(self, now: float) -> None:
        """Called once a second: what is too slow is answered 408 or closed."""
        waited = now - self.since
        limits = self.limits
        if self.write_paused_since is not None:
            if self._is_stalled(now):
                self.abort()
        elif self.closing:
            if waited > (limits.write_stall if self.transport.get_write_buffer_size() else limits.linger):
                self.abort()
        elif self.current is not None:
            return
        elif self.incoming is None:
            if waited > limits.keep_alive:
                self.close()
        elif waited > limits.header_time and (self.in_head or self.incoming.body.size < limits.body_rate * (waited - limits.header_time + 1)):
            self._fail(
                408,
                f"The request did not arrive in time; send headers within {limits.header_time:g} s and the body faster than {limits.body_rate} bytes/s.",
            )

    def _is_stalled(self, now: float) -> bool:
        """A client that takes something now and then is slow; one that takes nothing is gone."""
        unsent = self.transport.get_write_buffer_size()
        if unsent < self.unsent or self.write_paused_since is None:
            self.write_paused_since = now
        self.unsent = unsent
        return now - self.write_paused_since > self.limits.write_stall

    def _discard(self, size: int) -> None:
        self.discarded += size
        if self.discarded > max(DISCARD_LEAST, 2 * self.limits.body):
            self.abort()

    def _give_up_waiting(self) -> None:
        exchange = self.current
        if exchange is not None and exchange.ident and not self.closing and self.front.pool.can_give_up(exchange):
            self.end()


class _HeadTooLarge(Exception):
    """Stops the parser: 431."""


class _PipelineTooLong(Exception):
    """Stops the parser: 429."""

"""The front's composition: connections, queue, routes, logs and metrics, wired once.

A request's way: `begin` (headers are in: ids, route, key, size) → `handle` (body is in) → a page, or the pool → `note_answer`.
"""

from __future__ import annotations

import asyncio
import time
import traceback
import zlib
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote_to_bytes

from fairlead_scoring.front.access_log import AccessLog
from fairlead_scoring.front.auth import Keys
from fairlead_scoring.front.body import BodyTooLarge
from fairlead_scoring.front.cors import Cors
from fairlead_scoring.front.exchange import Exchange
from fairlead_scoring.front.ids import IdSource, IdTooLong
from fairlead_scoring.front.limits import Limits
from fairlead_scoring.front.metrics import Metrics
from fairlead_scoring.front.pages import Pages
from fairlead_scoring.front.pool import Pool
from fairlead_scoring.front.protocol import Connection
from fairlead_scoring.front.routes import Route, Routes
from fairlead_scoring.front.scoring import Scoring
from fairlead_scoring.front.settings import FrontSettings
from fairlead_scoring.lines import LineWriter


class Front:
    def __init__(self, settings: FrontSettings, lines: LineWriter, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.limits: Limits = settings.limits
        self.loop = loop
        self.clock = time.monotonic
        self.lines = lines
        self.connections: set[Connection] = set()
        self.draining = False
        self.date_line = b""
        self.buffered = 0
        self.status: dict[str, Any] = {}  # what the supervisor said last
        self.keys = Keys(settings.keys_file) if settings.keys_file else None
        self.cors = Cors(settings.cors_origins) if settings.cors_origins else None
        self.metrics = Metrics()
        self.log = AccessLog(lines, loop)
        self.pool = Pool(self.limits, loop)
        self.scoring = Scoring(self)
        self.routes = Routes(settings.prefix, settings.name)
        self.pages = Pages(self)
        self._ids = IdSource()
        self._drained: asyncio.Future[None] = loop.create_future()
        self.tick()

    # What a connection calls.
    def begin(self, exchange: Exchange) -> None:
        """The headers are in. What can be refused now is, before any body is read."""
        exchange.started = time.perf_counter()
        path, _, query = exchange.url.partition(b"?")
        exchange.path = unquote_to_bytes(path) if b"%" in path else path
        exchange.query = query
        route = self.routes.find(exchange.path)
        exchange.route = route.name if route else ""
        refusal = self._first_refusal(exchange, route)
        if refusal:
            exchange.refusal = refusal
        has_length = exchange.header(b"content-length")
        if refusal and (has_length not in (b"", b"0") or exchange.header(b"transfer-encoding")):
            self._refuse_early(exchange)
        elif has_length.isdigit() and int(has_length) > self.limits.body:
            self.refuse_body(exchange, int(has_length))
        elif exchange.header(b"expect").lower() == b"100-continue":
            exchange.continue_100()

    def _first_refusal(self, exchange: Exchange, route: Route | None) -> tuple[int, str] | None:  # noqa: PLR0911  (one per reason)
        try:
            exchange.ids = self._ids.of(exchange.headers)
        except IdTooLong as error:
            exchange.ids = self._ids.of([])
            return 431, str(error)
        if route is None:
            return 404, self.routes.not_found(exchange.path)
        if exchange.connection.is_for_operators and not (route.is_open or route.name == "metrics"):
            return 404, "This port serves health and metrics only."
        if not self._may_enter(exchange, route):
            return 401, "A valid key is needed: send it as `Authorization: Bearer KEY`."
        if exchange.method not in route.methods and not (exchange.method == b"OPTIONS" and self.cors):
            return 405, "The method is not allowed for the requested URL."
        if not self._is_host_expected(exchange):
            return 400, "An HTTP/1.1 request needs exactly one Host header."
        return None

    def _may_enter(self, exchange: Exchange, route: Route) -> bool:
        """Without keys everyone may; metrics are open on loopback and on the metrics port (DECISIONS 11)."""
        if self.keys is None or route.is_open:
            return True
        if route.name == "metrics" and (self.settings.is_loopback or exchange.connection.is_for_operators):
            return True
        return self.keys.allow(exchange.header(b"authorization"))

    def _is_host_expected(self, exchange: Exchange) -> bool:
        return exchange.http_10 or sum(name == b"host" for name, _ in exchange.headers) == 1

    def _refuse_early(self, exchange: Exchange) -> None:
        """Without reading the body; the connection ends after the answer, because what follows is that body."""
        connection = exchange.connection
        if connection.is_turn_of(exchange) and connection.current is None:
            connection.current = exchange
            exchange.keep_alive = False
            status, message = exchange.refusal or (400, "")
            self.refuse(exchange, status, message)

    def refuse_body(self, exchange: Exchange, size: int) -> None:
        exchange.refusal = (413, f"The body is larger than {self.limits.body} bytes (at least {size}); send less at a time.")
        exchange.keep_alive = False
        if exchange.connection.current is None:
            exchange.connection.current = exchange
            self.refuse(exchange, *exchange.refusal)

    def handle(self, exchange: Exchange) -> None:
        """The whole request is in, and it is its turn."""
        try:
            if exchange.refusal:
                self.refuse(exchange, *exchange.refusal)
                return
            if exchange.header(b"content-encoding") and not self._unzip(exchange):
                return
            route = self.routes.find(exchange.path)
            if route is None:
                self.refuse(exchange, 404, self.routes.not_found(exchange.path))
            elif route.dialect is not None and not (exchange.method == b"OPTIONS" and self.cors):
                exchange.dialect = route.dialect
                self.scoring.score(exchange)
            else:
                self.pages.show(exchange, route)
        except Exception as error:  # noqa: BLE001  (the edge: the client gets a 500, the log the traceback)
            self.report(error, exchange)
            self.refuse(exchange, 500, "An unexpected internal error occurred. Check the logs for more info.")

    def _unzip(self, exchange: Exchange) -> bool:
        encoding = exchange.header(b"content-encoding").lower()
        if encoding == b"identity":
            return True
        if encoding not in (b"gzip", b"x-gzip", b"deflate"):
            self.refuse(exchange, 415, f"Content-Encoding {encoding.decode('latin-1')[:40]} is not supported; send gzip, deflate or none.")
            return False
        limit = min(self.limits.body, max(8 << 20, exchange.body.size * self.limits.expansion))
        self.release_buffered(exchange)
        try:
            exchange.body = exchange.body.unzipped(limit)
            self.buffered += exchange.body.size
            return True
        except BodyTooLarge:
            self.refuse(exchange, 413, f"The body unpacks to more than {limit} bytes; send less at a time.")
        except zlib.error as error:
            self.refuse(exchange, 400, f"The body is not valid {encoding.decode()} ({error}).")
        return False

    def refuse(self, exchange: Exchange, status: int, message: str, *, failed: bool = False) -> None:
        self.scoring.refuse(exchange, status, message, failed=failed)

    def count_buffered(self, exchange: Exchange, size: int) -> None:
        self.buffered += size
        if self.buffered > self.limits.buffered and exchange.connection.current is None:
            exchange.connection.current = exchange
            exchange.keep_alive = False
            self.refuse(exchange, 503, "The service holds too many large requests at once. Try again later.")

    def release_buffered(self, exchange: Exchange) -> None:
        self.buffered -= exchange.body.size
        exchange.body.size = 0

    def note_answer(self, exchange: Exchange) -> None:
        milliseconds = (time.perf_counter() - exchange.started) * 1000
        self.metrics.answered(exchange, milliseconds)
        self.log.answered(exchange, milliseconds, exchange.revision or self.scoring.revision)

    def note_abandoned(self, exchange: Exchange) -> None:
        if exchange.ids is not None:
            exchange.status = 499
            self.note_answer(exchange)

    def connection_count_is_zero(self) -> None:
        if self.draining and not self._drained.done():
            self._drained.set_result(None)

    # Life of the front.
    @property
    def is_ready(self) -> bool:
        return bool(self.pool.usable) and not self.draining

    async def drain(self, grace: float) -> None:
        """Every answer from now on ends its connection; idle ones are closed after the grace."""
        self.draining = True
        if not self.connections:
            return
        await asyncio.wait([self._drained], timeout=grace)
        deadline = time.monotonic() + self.limits.deadline
        while any(not connection.is_idle for connection in self.connections) and time.monotonic() < deadline:  # noqa: ASYNC110  (at the very end, few)
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.close()
        await asyncio.sleep(0)

    def tick(self) -> None:
        """Once a second: the date, slow connections, changed files."""
        self.date_line = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
        now = self.clock()
        for connection in list(self.connections):
            connection.sweep(now)
        if self.keys is not None:
            before = self.keys.trouble
            self.keys.refresh()
            if self.keys.trouble and self.keys.trouble != before:
                self.lines.say("error", "front", self.keys.trouble)

    def report(self, error: BaseException, exchange: Exchange | None = None) -> None:
        """A mistake of ours: the whole traceback, for the log only."""
        text = "".join(traceback.format_exception(error)).rstrip()
        self.lines.say("error", "front", text, request_id=exchange.ids.request.decode() if exchange and exchange.ids else "")

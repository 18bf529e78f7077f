"""The front's composition: connections, queue, routes, logs and metrics, wired once.

A request's way: `begin` (headers are in: ids, route, key, size) → `handle` (body is in) → a page, or the pool → `note_answer`.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from fairlead_scoring.front.access_log import AccessLog
from fairlead_scoring.front.auth import Keys
from fairlead_scoring.front.body import BodyBroken, ZippedBody
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

INTERNAL = "An unexpected internal error occurred. Check the logs for more info."
SMALL = 64 * 1024  # a refused body up to this size is read, so that its connection can be kept


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
        self.app_root: Path | None = settings.app_root  # where a script may keep swagger documents of its own
        self.keys = Keys(settings.keys_file) if settings.keys_file else None
        if self.keys is not None:
            self.keys.check()
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

    def configure(self, settings: FrontSettings) -> None:
        """From now on, for every connection: what a reload has changed."""
        self.settings = settings
        self.limits = settings.limits
        for connection in self.connections:
            connection.limits = settings.limits
        if settings.keys_file is None or self.keys is None or self.keys.path != settings.keys_file:
            self.keys = Keys(settings.keys_file) if settings.keys_file else None  # one that cannot be read lets nobody in
        else:
            self.keys.refresh()
        self.cors = Cors(settings.cors_origins) if settings.cors_origins else None
        self.routes = Routes(settings.prefix, settings.name)
        self.lines.level = settings.log_level
        self.pool.limit(settings.limits)
        self.scoring.configure(settings)

    # What a connection calls.
    def begin(self, exchange: Exchange) -> None:
        """The headers are in. What can be refused now is, before any body is read."""
        exchange.started = time.perf_counter()
        path, _, query = exchange.url.partition(b"?")
        if b"%" in path or path[:1] != b"/":
            path = _plain(path)
        exchange.path = path
        exchange.query = query
        fields = exchange.fields
        exchange.refusal = self._first_refusal(exchange) or exchange.refusal
        length = fields.get(b"content-length", b"")
        if length and int(length) > self.limits.body and exchange.refusal is None:
            exchange.refusal = (413, f"The body is larger than {self.limits.body} bytes ({int(length)}); send less at a time.")
        elif b"content-encoding" in fields:
            self._expect_zipped(exchange, fields[b"content-encoding"].lower())
        waits = b"expect" in fields and not exchange.http_10
        if exchange.refusal is not None:
            if waits or b"transfer-encoding" in fields or int(length or 0) > SMALL:
                exchange.connection.answer_early(exchange)
        elif waits:
            exchange.expects_continue = True
            if exchange.connection.is_turn_of(exchange):
                exchange.continue_100()

    def identify(self, exchange: Exchange) -> None:
        """Ids for a request that is refused before its headers are complete: its own, if they came."""
        if exchange.ids is None:
            fields = dict(exchange.headers)
            try:
                exchange.ids = self._ids.of(fields)
            except IdTooLong:
                exchange.ids = self._ids.of({})

    def _first_refusal(self, exchange: Exchange) -> tuple[int, str] | None:
        fields = exchange.fields
        try:
            exchange.ids = self._ids.of(fields)
        except IdTooLong as error:
            exchange.ids = self._ids.of({})
            return 431, str(error)
        exchange.target = route = self.routes.find(exchange.path)
        if route is None:
            return 404, self.routes.not_found(exchange.path)
        exchange.route = route.name
        if exchange.connection.is_for_operators and not (route.is_open or route.name == "metrics"):
            return 404, "This port serves health and metrics only."
        if not self._may_enter(exchange, route):
            return 401, "A valid key is needed: send it as `Authorization: Bearer KEY`."
        if exchange.method not in route.methods and not self._is_preflight(exchange):
            return 405, "The method is not allowed for the requested URL."
        return _wrong_framing(exchange)

    def _may_enter(self, exchange: Exchange, route: Route) -> bool:
        """Without keys everyone may; metrics are open on loopback and on the metrics port (DECISIONS 11). A browser's preflight cannot carry a key."""
        if self.keys is None or route.is_open:
            return True
        if route.name == "metrics" and (self.settings.is_loopback or exchange.connection.is_for_operators):
            return True
        if self._is_preflight(exchange):
            return True
        refusal = self.keys.refusal(exchange.header(b"authorization"))
        exchange.unwelcome = refusal or ""
        return refusal is None

    def _is_preflight(self, exchange: Exchange) -> bool:
        return self.cors is not None and exchange.method == b"OPTIONS" and b"access-control-request-method" in exchange.fields

    def _expect_zipped(self, exchange: Exchange, encoding: bytes) -> None:
        if encoding in (b"gzip", b"x-gzip", b"deflate"):
            exchange.body = ZippedBody(self.limits.expansion)
        elif encoding != b"identity" and exchange.refusal is None:
            exchange.refusal = (415, f"Content-Encoding {encoding.decode('latin-1')[:40]} is not supported; send gzip, deflate or none.")

    def _is_unpacked(self, exchange: Exchange) -> bool:
        body, before = exchange.body, exchange.body.size
        try:
            body.finish()
            self.buffered += body.size - before
        except BodyBroken as error:
            self.refuse(exchange, 400, f"The body is not what its Content-Encoding says: {error}.")
        return not exchange.answered

    def handle(self, exchange: Exchange) -> None:
        """The whole request is in, and it is its turn."""
        try:
            route = exchange.target
            if exchange.refusal is not None or route is None:
                self.refuse(exchange, *(exchange.refusal or (404, "")))
            elif b"content-encoding" in exchange.fields and not self._is_unpacked(exchange):
                pass
            elif self._is_preflight(exchange) or route.dialect is None:
                self.pages.show(exchange, route)
            else:
                exchange.dialect = route.dialect
                self.scoring.score(exchange)
        except Exception as error:  # noqa: BLE001  (the edge: the client gets a 500, the log the traceback)
            self.report(error, exchange)
            self.refuse(exchange, 500, INTERNAL)

    def refuse(self, exchange: Exchange, status: int, message: str, *, failed: bool = False) -> None:
        self.scoring.refuse(exchange, status, message, failed=failed)

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
        """Every answer from now on ends its connection; those that are idle are kept for the grace, and then closed."""
        self.draining = True
        if not self.connections:
            return
        await asyncio.wait([self._drained], timeout=grace)
        await self._until(lambda: all(connection.is_idle for connection in self.connections), self.limits.deadline)
        for connection in list(self.connections):
            connection.end()
        await self._until(lambda: not self.connections, 1.0)

    async def _until(self, fact: Callable[[], bool], seconds: float) -> None:
        give_up = self.clock() + seconds
        while not fact() and self.clock() < give_up:  # noqa: ASYNC110  (at the very end, few)
            await asyncio.sleep(0.02)

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


def _plain(path: bytes) -> bytes:
    """Without percent escapes; of the absolute form that proxies send, the path."""
    if path[:1] != b"/" and b"://" in path:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return unquote_to_bytes(path)


def _wrong_framing(exchange: Exchange) -> tuple[int, str] | None:
    """What RFC 9112 wants refused and the parser lets through."""
    fields = exchange.fields
    if not exchange.http_10 and (b"host" not in fields or (len(fields) != len(exchange.headers) and _count(exchange, b"host") > 1)):
        return 400, "A request needs exactly one Host header."
    if b"transfer-encoding" in fields:
        if exchange.http_10:
            return 400, "This version of HTTP knows no Transfer-Encoding; send a Content-Length."
        if fields[b"transfer-encoding"].lower() != b"chunked" or _count(exchange, b"transfer-encoding") > 1:
            return 501, "Only the transfer encoding `chunked` is known here."
    if b"expect" in fields and not exchange.http_10 and fields[b"expect"].lower() != b"100-continue":
        return 417, "The only expectation that is met here is 100-continue."
    return None


def _count(exchange: Exchange, name: bytes) -> int:
    return sum(key == name for key, _ in exchange.headers)

"""One line per request: JSON for machines, columns for a terminal; written once per turn of the loop."""

from __future__ import annotations

import asyncio
import json
import time

from fairlead_scoring.front.exchange import Exchange
from fairlead_scoring.lines import LineWriter, utc_now

QUIET = frozenset(("health", "livez", "readyz", "ping", "metrics"))
PLAIN_TEXT = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}


class AccessLog:
    """Health and metrics requests are not logged when they went well, nor while the service is not ready (that has a line of its own)."""

    def __init__(self, lines: LineWriter, loop: asyncio.AbstractEventLoop) -> None:
        self._lines = lines
        self._loop = loop
        self._held: list[str] = []
        self._second = 0
        self._second_text = ""
        self._compose = self._json if lines.form == "json" else self._text

    def answered(self, exchange: Exchange, milliseconds: float, revision: str) -> None:
        if exchange.route in QUIET and (exchange.status < 400 or exchange.status == 503):
            return
        if not self._held:
            self._loop.call_soon(self._write)
        self._held.append(self._compose(exchange, milliseconds, revision))

    def _write(self) -> None:
        held, self._held = self._held, []
        self._lines.write("".join(held).encode("utf-8", "replace"))

    def _json(self, exchange: Exchange, milliseconds: float, revision: str) -> str:
        ids = exchange.ids
        fields = ""
        if ids is not None:
            fields = f'"request_id":{_quoted(ids.request)},'
            if ids.client:
                fields += f'"client_request_id":{_quoted(ids.client)},'
            if ids.trace_id:
                fields += f'"trace_id":"{ids.trace_id.decode()}",'
        if exchange.run_ms >= 0:
            fields += f'"queue_ms":{exchange.queue_ms:.3f},"run_ms":{exchange.run_ms:.3f},"rows":{exchange.batch_rows},'
        if exchange.worker:
            fields += f'"worker":"{exchange.worker}",'
        if exchange.broken:
            fields += '"broken":true,'
        return (
            f'{{"time":"{self._now()}","level":"{_level(exchange)}","source":"request","method":{_quoted(exchange.method)},'
            f'"path":{_quoted(exchange.url)},"status":{exchange.status},"ms":{milliseconds:.3f},{fields}"bytes":{exchange.sent_bytes},'
            f'"revision":"{revision}"}}\n'
        )

    def _text(self, exchange: Exchange, milliseconds: float, _revision: str) -> str:
        ids = exchange.ids
        mark = ids.request.decode("latin-1")[:8] if ids else "-"
        run = f"  run {exchange.run_ms:.1f} ms" if exchange.run_ms >= 0 else ""
        return (
            f"{time.strftime('%H:%M:%S')}  {exchange.status}   {exchange.method.decode('latin-1'):5}"
            f"{_shown(exchange.url):<22} {milliseconds:8.1f} ms{run}  [{mark}]\n"
        )

    def _now(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._second_text = second, utc_now(second)[:-4]
        return f"{self._second_text}{int(now * 1000) % 1000:03d}Z"


def _level(exchange: Exchange) -> str:
    status = 500 if exchange.broken else exchange.status
    if status == 404 and exchange.url == b"/sample":
        return "info"  # a service without a sample is asked for one by every command that shows how it is called
    return "info" if status < 400 else "warning" if status < 500 else "error"


def _shown(url: bytes) -> str:
    """For a terminal, which must not take it for anything but text."""
    return "".join(mark if mark.isprintable() else "?" for mark in url.decode("latin-1")[:40])


def _quoted(text: bytes) -> str:
    if text.isalnum() or PLAIN_TEXT.issuperset(text):
        return f'"{text.decode()}"'
    return json.dumps(text.decode("latin-1"))

"""The fields of a log line in words, and a line as the front writes it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from types import SimpleNamespace
from typing import cast

from fairlead_scoring.front.access_log import AccessLog
from fairlead_scoring.front.exchange import Exchange
from fairlead_scoring.front.ids import Ids
from fairlead_scoring.front.protocol import Connection
from fairlead_scoring.lines import LineWriter

FIELDS = {
    "time": "UTC, RFC 3339, milliseconds",
    "level": "`info`, `warning` (4xx) or `error` (5xx) for requests; else the level of the message",
    "source": "`request`, `front`, `supervisor`, `worker`; for a script's own lines `print`, `stderr`, `script` or the logger's name",
    "message": "what happened, in a sentence; request lines have none",
    "method": "of HTTP",
    "path": "as sent, with its query",
    "status": "the answer's code; 499: the client closed the connection before its answer",
    "ms": "from the headers to the answer",
    "request_id": "`x-request-id`; also in every line that the script prints or logs for this request",
    "client_request_id": "`x-ms-client-request-id`, where the caller gave one",
    "trace_id": "from `traceparent`, where the caller gave one",
    "queue_ms": "waiting for a worker",
    "run_ms": "inside `run()`; shared by the requests of one batch",
    "rows": "rows of this request",
    "worker": "which worker; also in every line of the worker's own",
    "bytes": "of the answer's body",
    "revision": "`x-fairlead-revision`: the name that was given, or the bundle's or the script's digest, shortened",
    "pid": "in the supervisor's lines",
    "generation": "how many times what is served has been replaced, the first being 1",
    "workers": "how many serve",
    "last_lines": "what a worker that ended had written last",
    "frames": "the traceback of a reload that failed",
    "cause": "why it failed, as a code for programs",
}


def access_line() -> str:
    """A request's line with every field, its time fixed so that the page stays the same."""
    connection = cast(Connection, SimpleNamespace(since=0.0))
    exchange = Exchange(connection)
    parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    exchange.ids = Ids(b"7d9f7a61-5b0e-4c55-8a39-6c0f6d4b9b30", b"order-17", b"order-17", b"", parent)
    exchange.method, exchange.url, exchange.status, exchange.worker = b"POST", b"/score", 200, "w1"
    exchange.queue_ms, exchange.run_ms, exchange.batch_rows, exchange.sent_bytes = 0.112, 0.684, 1, 41
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryFile() as file:
        lines = LineWriter(os.dup(file.fileno()), form="json")
        log = AccessLog(lines, loop)
        log._now = lambda: "2026-11-21T11:26:37.995Z"  # type: ignore[method-assign]
        log.answered(exchange, 1.203, "0e5a3f9f4a30a1c2")
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        os.close(lines.fd)
        file.seek(0)
        return file.read().decode()

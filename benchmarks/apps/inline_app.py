# mypy: disable-error-code="import-not-found,import-untyped"
"""The hand-written yardstick of single.py: one ASGI handler with Fairlead's contract that calls the model inline.

Without a model it is "bare + contract" of contract.py.
Ids echoed or made, the same headers, a JSON log line, Prometheus metrics, bounded admission, a checked shape.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
from prometheus_client import Counter, Gauge, Histogram

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MOST = 64
REQUESTS = Counter("requests", "Answered requests", ["code"])
SECONDS = Histogram("request_seconds", "From the head to the last byte")
IN_FLIGHT = Gauge("in_flight", "Admitted requests")
model = joblib.load(os.environ["BENCH_MODEL"]) if "BENCH_MODEL" in os.environ else None
log = Path("inline.jsonl").open("ab", buffering=0)  # noqa: SIM115  # open as long as the process
admitted = 0


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    global admitted
    if scope["type"] != "http":
        return
    begun = time.perf_counter()
    headers = dict(scope["headers"])
    request_id = headers.get(b"x-request-id") or str(uuid.uuid4()).encode()
    if admitted >= MOST:
        await _answer(send, 429, b'{"message":"busy"}', request_id, b"0", begun)
        return
    admitted += 1
    IN_FLIGHT.set(admitted)
    try:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        run = time.perf_counter()
        status, answer = _score(body)
        spent = b"%.3f" % ((time.perf_counter() - run) * 1000)
        await _answer(send, status, answer, request_id, spent, begun)
    finally:
        admitted -= 1


def _score(body: bytes) -> tuple[int, bytes]:
    if model is None:  # bare + contract: read, and answer 20 bytes
        return 200, b"[0,   1,   2,   3  ]"
    try:
        rows = np.array(orjson.loads(body)["data"], dtype=np.float64)
    except (ValueError, KeyError, TypeError) as error:
        return 400, orjson.dumps({"message": str(error)})
    if rows.ndim != 2 or rows.shape[1] != model.n_features_in_:
        return 400, orjson.dumps({"message": f"data: expected rows of {model.n_features_in_} numbers"})
    return 200, orjson.dumps(model.predict(rows), option=orjson.OPT_SERIALIZE_NUMPY)


async def _answer(send: Send, status: int, body: bytes, request_id: bytes, spent: bytes, begun: float) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-ms-run-function-failed", b"False"),
        (b"x-ms-run-fn-exec-ms", spent),
        (b"x-ms-server-version", b"inline/1"),
        (b"x-fairlead-revision", b"0123456789abcdef"),
        (b"x-request-id", request_id),
        (b"x-ms-request-id", request_id),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    seconds = time.perf_counter() - begun
    REQUESTS.labels(str(status)).inc()
    SECONDS.observe(seconds)
    line = {"time": time.time(), "level": "info", "path": "/score", "status": status, "ms": round(seconds * 1000, 3)}
    log.write(orjson.dumps({**line, "request_id": request_id.decode(), "run_ms": float(spent)}, option=orjson.OPT_APPEND_NEWLINE))

"""How fast a service is and what it needs: its sample requests are sent for a while, and its own metrics are read meanwhile (T2)."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2

from fairlead.errors import UsageError
from fairlead.sdk.scoring import sample_of

GIB = 2**30
BUSY = 0.7  # of a worker's time: above it, requests begin to wait
HEADROOM = 1.25
EVERY = 0.5  # seconds between two looks at the metrics
PERCENTILES = {"50": 0.5, "90": 0.9, "95": 0.95, "99": 0.99, "999": 0.999}
_SAMPLE = re.compile(r"^(?P<name>[a-z_]+)(?:\{[^}]*\})? (?P<value>\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Load:
    """`requests` in turn, `seconds` long, by so many callers at a time. rate: requests per second together; None: as fast as answers come."""

    requests: Sequence[bytes] = ()
    seconds: float = 10.0
    concurrency: int = 4
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.concurrency < 1 or (self.rate is not None and self.rate <= 0):
            raise UsageError("A profile needs more than 0 seconds, at least one caller and a rate above 0.")


@dataclass
class _Measured:
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    error: str | None = None
    cores: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    workers: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)


def profile(scoring_uri: str, credential: str | None, load: Load, *, name: str, description: str = "") -> dict[str, Any]:
    """The figures under the seeds' names. Raises UsageError when there is nothing to send."""
    headers = {"authorization": f"Bearer {credential}"} if credential else {}
    measured = _Measured()
    limits = httpx2.Limits(max_connections=load.concurrency + 2, max_keepalive_connections=load.concurrency + 2)
    with httpx2.Client(headers=headers, timeout=120, trust_env=False, limits=limits) as client:
        requests = load.requests or [json.dumps(sample_of(scoring_uri, client)).encode()]
        began = time.monotonic()
        turn, deadline = itertools.count(), began + load.seconds
        callers = [threading.Thread(target=_call, args=(client, scoring_uri, requests, load, turn, deadline, measured)) for _ in range(load.concurrency)]
        for each in callers:
            each.start()
        _watch(client, scoring_uri, callers, measured)
        elapsed = time.monotonic() - began
    return _figures(measured, elapsed, load, name, description)


def _call(client: httpx2.Client, address: str, requests: Sequence[bytes], load: Load, turn: Iterator[int], deadline: float, measured: _Measured) -> None:
    start = deadline - load.seconds
    while time.monotonic() < deadline:
        number = next(turn)
        if load.rate is not None and not _wait_until(start + number / load.rate, deadline):
            return
        began = time.perf_counter()
        try:
            answer = client.post(address, content=requests[number % len(requests)], headers={"content-type": "application/json"})
            fault = None if answer.is_success else f"{answer.status_code}: {answer.text[:200]}"
        except httpx2.TransportError as error:
            fault = str(error) or type(error).__name__
        taken = time.perf_counter() - began
        with measured.lock:
            measured.latencies.append(taken)
            measured.failures += fault is not None
            measured.error = measured.error or fault


def _wait_until(moment: float, deadline: float) -> bool:
    if moment >= deadline:
        return False
    threading.Event().wait(max(0.0, moment - time.monotonic()))
    return True


def _watch(client: httpx2.Client, scoring_uri: str, callers: Sequence[threading.Thread], measured: _Measured) -> None:
    """Cores in use are seconds inside run() per second; memory is what the workers hold."""
    address = scoring_uri.removesuffix("/score") + "/metrics"
    before = _metrics(client, address)
    while any(each.is_alive() for each in callers):
        callers[0].join(EVERY)
        now = _metrics(client, address)
        if before and now and now["at"] > before["at"]:
            measured.cores.append((now.get("fairlead_run_seconds_sum", 0.0) - before.get("fairlead_run_seconds_sum", 0.0)) / (now["at"] - before["at"]))
            measured.resident.append(now.get("fairlead_worker_resident_bytes", 0.0))
            measured.workers = max(1, int(now.get("fairlead_workers_ready", 1)))
        before = now
        for each in callers[1:]:
            each.join(0)


def _metrics(client: httpx2.Client, address: str) -> dict[str, float]:
    """Sums over labels; empty where the service does not show its metrics."""
    try:
        answer = client.get(address, headers={"accept": "text/plain"})
    except httpx2.TransportError:
        return {}
    if not answer.is_success:
        return {}
    found: dict[str, float] = {"at": time.monotonic()}
    for each in _SAMPLE.finditer(answer.text):
        found[each["name"]] = found.get(each["name"], 0.0) + float(each["value"])
    return found


def _figures(measured: _Measured, elapsed: float, load: Load, name: str, description: str) -> dict[str, Any]:
    latencies = sorted(measured.latencies)
    total, good = len(latencies), len(latencies) - measured.failures
    cores, memory = max(measured.cores, default=0.0), max(measured.resident, default=0.0) / GIB
    told: dict[str, Any] = {
        "name": name,
        "description": description,
        "state": "Succeeded" if good else "Failed",
        "createdTime": datetime.now(UTC).isoformat(),
        "requestedQueriesPerSecond": load.rate,
        "totalQueries": total,
        "successQueries": good,
        "successRate": 100.0 * good / total if total else 0.0,
        "measuredQueriesPerSecond": round(good / elapsed, 3),
        "averageLatencyInMs": _ms(sum(latencies) / total) if total else None,
        "maxUtilizedCpu": round(cores, 3),
        "maxUtilizedMemoryInGB": round(memory, 3),
        "recommendedCpu": max(0.1, math.ceil(cores * HEADROOM * 10) / 10),
        "recommendedMemoryInGB": max(0.1, math.ceil(memory * HEADROOM * 10) / 10),
        "recommendedWorkers": min(os.cpu_count() or 1, max(1, math.ceil(cores / BUSY))),
        "measuredWorkers": measured.workers,
        "error": measured.error,
    }
    percentiles = {f"latencyPercentile{label}InMs": _ms(latencies[min(total - 1, math.ceil(total * part) - 1)]) for label, part in PERCENTILES.items() if total}
    return {**told, **percentiles}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)

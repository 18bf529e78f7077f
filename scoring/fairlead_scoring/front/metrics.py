"""Counters of the front: plain integers on the hot path, put into Prometheus' form when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fairlead_scoring.front.exchange import Exchange

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fairlead_scoring.front.pool import Pool

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Histogram:
    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        total = 0
        found: list[tuple[str, float]] = []
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            found.append((str(bound), total))
        return found, self._sum


class Metrics:
    """Falls never: the front outlives its workers."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self._latency = Histogram(SECONDS)
        self._queue = Histogram(SECONDS)
        self._run = Histogram(SECONDS)
        self._batch = Histogram(COUNTS)
        self._rows = Histogram(COUNTS)

    def answered(self, exchange: Exchange, milliseconds: float) -> None:
        key = (exchange.route, exchange.status)
        requests = self.requests
        requests[key] = requests.get(key, 0) + 1
        if exchange.run_ms >= 0:
            self._latency.add(milliseconds / 1000)
            self._queue.add(exchange.queue_ms / 1000)
            self._run.add(exchange.run_ms / 1000)

    def batch(self, requests: int) -> None:
        self._batch.add(requests)

    def rows(self, rows: int) -> None:
        self._rows.add(rows)

    def exposition(self, pool: Pool, status: dict[str, Any], accept: str) -> tuple[bytes, str]:
        """(text, content type) as the asker prefers: Prometheus or OpenMetrics."""
        from prometheus_client import exposition  # noqa: PLC0415  (30 ms of import that only a scraper needs)

        encoder, content_type = exposition.choose_encoder(accept)
        return encoder(_Collected(self._collect(pool, status))), content_type

    def _collect(self, pool: Pool, status: dict[str, Any]) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily  # noqa: PLC0415

        requests = CounterMetricFamily("fairlead_requests", "Requests answered, by route and status code.", labels=("route", "code"))
        for (route, code), count in sorted(self.requests.items()):
            requests.add_metric((route or "none", str(code)), count)
        yield requests
        for name, text, histogram in (
            ("fairlead_request_seconds", "Of scored requests: from the headers to the answer.", self._latency),
            ("fairlead_queue_seconds", "Waiting for a worker.", self._queue),
            ("fairlead_run_seconds", "Inside run(), shared by the requests of one batch.", self._run),
            ("fairlead_batch_requests", "Requests sent to a worker together.", self._batch),
            ("fairlead_request_rows", "Rows per request.", self._rows),
        ):
            buckets, total = histogram.buckets()
            yield HistogramMetricFamily(name, text, buckets=buckets, sum_value=total)
        yield CounterMetricFamily("fairlead_requests_skipped", "Waiting requests whose client had gone.", value=pool.cancelled)
        yield GaugeMetricFamily("fairlead_requests_waiting", "Requests in the queue.", value=pool.waiting_count)
        yield GaugeMetricFamily("fairlead_requests_in_flight", "Requests inside workers.", value=pool.in_flight)
        yield from _of_workers(pool, status)


def _of_workers(pool: Pool, status: dict[str, Any]) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

    yield GaugeMetricFamily("fairlead_workers_ready", "Workers that can score.", value=len(pool.usable))
    load = GaugeMetricFamily("fairlead_model_load_seconds", "Time of init() in each worker.", labels=("worker",))
    for worker in pool.workers.values():
        load.add_metric((worker.ident,), worker.contract["load_ms"] / 1000)
    yield load
    memory = GaugeMetricFamily("fairlead_worker_resident_bytes", "Resident memory of each worker.", labels=("worker",))
    for told in status.get("workers", ()):
        if told.get("resident") is not None:
            memory.add_metric((told["id"],), told["resident"])
    yield memory
    ends = CounterMetricFamily("fairlead_worker_ends", "Workers that ended unasked, by reason.", labels=("reason",))
    for reason, count in sorted(status.get("ends", {}).items()):
        ends.add_metric((reason,), count)
    yield ends


class _Collected:
    """The one method that an encoder calls."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics

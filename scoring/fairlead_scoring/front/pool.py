"""One queue for all workers: requests wait here, go out in micro-batches, and are answered or given up here.

No request waits for company while a worker is free; a busy service makes its batches from what has come meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from fairlead_scoring.front.exchange import Exchange
from fairlead_scoring.front.limits import Limits
from fairlead_scoring.front.remote_worker import RemoteWorker
from fairlead_scoring.worker import link
from fairlead_scoring.worker.batch_frame import Answered, unpack_answers
from fairlead_scoring.worker.link import Frame

BATCH_BYTES = 4 << 20
DEFAULT_WAITING = Limits().waiting
CANCEL_TAKES = 2.0  # for a coroutine to end that has been cancelled


class Pool:
    """Answers through callbacks: `on_answer(exchange, answered)`, `on_refusal(exchange, status, message)`, `on_late(exchange)`."""

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.limits = limits
        self.workers: dict[str, RemoteWorker] = {}
        self.waiting: deque[Exchange] = deque()
        self.waiting_count = 0
        self.expects_worker = True  # a worker is being started: what waits may go on waiting
        self.cancelled = 0
        self.on_answer: Callable[[Exchange, Answered], None]
        self.on_refusal: Callable[[Exchange, int, str], None]
        self.on_late: Callable[[Exchange], None]
        self.on_stream: Callable[[Exchange, Answered], None]
        self.on_batch: Callable[[int], None]
        self.tell_supervisor: Callable[[int, dict[str, Any]], None]
        self._loop = loop
        self._free: deque[RemoteWorker] = deque()
        self._scheduled = False
        self._next_ident = 1
        self._timer: asyncio.TimerHandle | None = None
        self._company: asyncio.TimerHandle | None = None
        self._last_batch = 0
        self.queue_limit = limits.waiting

    @property
    def in_flight(self) -> int:
        return sum(len(worker.running) for worker in self.workers.values())

    @property
    def usable(self) -> list[RemoteWorker]:
        return [worker for worker in self.workers.values() if not worker.retiring and not worker.overdue]

    def _set_queue_limit(self) -> None:
        """Waiting requests: so many per worker; a service that batches may always hold two full batches."""
        limit = self.limits.waiting
        batches = [worker.contract["batching"]["max_rows"] for worker in self.workers.values() if worker.contract.get("batching")]
        self.queue_limit = max(limit * max(1, len(self.usable)), 2 * max(batches, default=0) if limit == DEFAULT_WAITING else 0)

    def limit(self, limits: Limits) -> None:
        """From now on; what waits already goes on waiting by these."""
        self.limits = limits
        self._set_queue_limit()

    def admit(self, exchange: Exchange) -> None:
        """Queue it, or refuse it at once."""
        if self.waiting_count >= self.queue_limit:
            self.on_refusal(exchange, 429, f"The service is busy: {self.waiting_count} requests wait already. Try again later.")
            return
        if not self.workers and not self.expects_worker:
            self.on_refusal(exchange, 503, "No worker of this service is ready. Try again later.")
            return
        self._next_ident = self._next_ident % 0xFFFFFFFF + 1
        exchange.ident = self._next_ident
        exchange.queued_at = time.monotonic()
        self.waiting.append(exchange)
        self.waiting_count += 1
        if self._free:
            self._schedule()
        if self._timer is None:
            self._arm()

    def add(self, worker: RemoteWorker) -> None:
        worker.on_frame = self._hear
        worker.on_gone = self._gone
        self.workers[worker.ident] = worker
        worker.listen()
        self._free.append(worker)
        self._set_queue_limit()
        self._schedule()

    def retire(self, ident: str) -> None:
        """Send it nothing more; the supervisor is told when its last answer is in."""
        worker = self.workers.get(ident)
        if worker is None:
            self.tell_supervisor(link.RETIRED, {"worker": ident})
            return
        worker.retiring = True
        self._set_queue_limit()
        self._retire_if_done(worker)

    def lost(self, ident: str) -> None:
        """The supervisor has seen it end; its link may be held open by a process that the script started."""
        worker = self.workers.get(ident)
        if worker is not None:
            worker.read_to_end()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        while self._free and self.waiting_count:
            worker = self._free[0]
            if not worker.is_free:
                self._free.popleft()
                continue
            if self._should_wait_for_company(worker):
                return
            batch = self._take(worker)
            if not batch:
                return
            now = time.monotonic()
            for exchange in batch:
                exchange.queue_ms = (now - exchange.queued_at) * 1000
            if not worker.running:
                worker.run_started = now
            worker.score(batch)
            self.on_batch(len(batch))
            self._free.popleft()
            if worker.is_free:
                self._free.append(worker)

    def _should_wait_for_company(self, worker: RemoteWorker) -> bool:
        """Only where a wait is configured, and only while requests do come together: a lone client never waits."""
        batching = worker.contract.get("batching")
        if not batching or not batching["max_wait_ms"] or self.waiting_count >= batching["max_rows"] or self._last_batch < 2:
            return False
        rest = batching["max_wait_ms"] / 1000 - (time.monotonic() - self.waiting[0].queued_at)
        if rest <= 0:
            return False
        if self._company is None:
            self._company = self._loop.call_later(rest, self._company_is_complete)
        return True

    def _company_is_complete(self) -> None:
        self._company = None
        self._schedule()

    def _take(self, worker: RemoteWorker) -> list[Exchange]:
        batching = worker.contract.get("batching")
        most = worker.capacity - len(worker.running)
        if batching:
            most = min(batching["max_rows"], -(-self.waiting_count // max(1, len(self._free))))
        batch: list[Exchange] = []
        size = 0
        while self.waiting and len(batch) < most and size < BATCH_BYTES:
            exchange = self.waiting.popleft()
            if exchange.gone or exchange.answered:
                continue
            self.waiting_count -= 1
            batch.append(exchange)
            size += exchange.body.size
        self._last_batch = len(batch)
        return batch

    def can_give_up(self, exchange: Exchange) -> bool:
        """Whether the work for a client that has probably gone can be spared: it has not begun, or can be cancelled."""
        worker = self.workers.get(exchange.worker)
        return not exchange.worker or (worker is not None and worker.contract["async"] and not exchange.started_streaming)

    def abandoned(self, exchange: Exchange) -> None:
        """The client has gone: skip the work if it has not begun, cancel it if it can be cancelled."""
        if not exchange.worker:
            self.waiting_count -= 1
            self.cancelled += 1
            self._forget_gone()
            return
        worker = self.workers.get(exchange.worker)
        if worker is not None and (worker.contract["async"] or exchange.started_streaming):
            worker.tell(link.CANCEL, ident=exchange.ident)

    def writable(self, exchange: Exchange) -> None:
        """The client takes more of its stream: so may the worker send more."""
        owed, exchange.owed_acks = exchange.owed_acks, 0
        worker = self.workers.get(exchange.worker)
        for _ in range(owed if worker is not None else 0):
            worker.tell(link.ACK, ident=exchange.ident)  # type: ignore[union-attr]

    def _forget_gone(self) -> None:
        if len(self.waiting) > 2 * self.waiting_count + 64:
            self.waiting = deque(exchange for exchange in self.waiting if not exchange.gone and not exchange.answered)

    def _hear(self, worker: RemoteWorker, frame: Frame) -> None:
        if frame.kind == link.ANSWERS:
            for answered in unpack_answers(frame):
                self._answer(worker, answered)
        elif frame.kind in (link.CHUNK, link.END):
            self._pass_on(worker, frame)
            if frame.kind == link.CHUNK:
                return
        self._after_answers(worker)

    def _answer(self, worker: RemoteWorker, answered: Answered) -> None:
        exchange = worker.running.get(answered.ident)
        if exchange is None:
            return
        if answered.streamed:
            exchange.last_chunk_at = time.monotonic()
            if not exchange.gone and not exchange.answered:
                self.on_stream(exchange, answered)
            if exchange.gone or exchange.answered:
                worker.tell(link.CANCEL, ident=exchange.ident)
            return
        del worker.running[answered.ident]
        if not exchange.gone and not exchange.answered:
            try:
                self.on_answer(exchange, answered)
            except Exception:
                self.on_refusal(exchange, 500, "An unexpected internal error occurred. Check the logs for more info.")
                raise

    def _pass_on(self, worker: RemoteWorker, frame: Frame) -> None:
        exchange = worker.running.get(frame.ident)
        if exchange is None:
            return
        if frame.kind == link.END:
            del worker.running[frame.ident]
            exchange.break_stream() if frame.flags & link.ERROR else exchange.end_stream()
            return
        exchange.last_chunk_at = time.monotonic()
        exchange.send_chunk(frame.payload)
        if exchange.is_write_paused and not exchange.gone:
            exchange.owed_acks += 1
        else:
            worker.tell(link.ACK, ident=frame.ident)

    def _after_answers(self, worker: RemoteWorker) -> None:
        worker.run_started = time.monotonic()
        if worker.overdue and not worker.running:
            worker.overdue = False
            self._set_queue_limit()
            self.tell_supervisor(link.RECOVERED, {"worker": worker.ident})
        if worker.retiring:
            self._retire_if_done(worker)
        elif worker.is_free and worker not in self._free:
            self._free.append(worker)
            if self.waiting_count:
                self._schedule()

    def _retire_if_done(self, worker: RemoteWorker) -> None:
        if not worker.running and worker.ident in self.workers:
            del self.workers[worker.ident]
            worker.close()
            self._set_queue_limit()
            self.tell_supervisor(link.RETIRED, {"worker": worker.ident})

    def _gone(self, worker: RemoteWorker) -> None:
        """The worker has died: what it was working on is lost, and says so; what waits goes to the others."""
        self.workers.pop(worker.ident, None)
        self._set_queue_limit()
        if worker in self._free:
            self._free.remove(worker)
        for exchange in list(worker.running.values()):
            if exchange.started_streaming:
                exchange.break_stream()
            elif not exchange.gone and not exchange.answered:
                self.on_refusal(exchange, 503, "The worker ended while it scored this request. Try again.")
        worker.running.clear()

    # Deadlines: one timer, armed for the earliest that can pass.
    def _arm(self) -> None:
        self._timer = self._loop.call_later(min(self.limits.wait, self.limits.deadline, 2.0) / 8, self._check_deadlines)

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        while self.waiting and (self.waiting[0].gone or self.waiting[0].answered or now - self.waiting[0].queued_at >= self.limits.wait):
            exchange = self.waiting.popleft()
            if not exchange.gone and not exchange.answered:
                self.waiting_count -= 1
                waited = round((now - exchange.queued_at) * 1000)
                self.on_refusal(exchange, 503, f"No worker was free within {waited} ms. Try again later.")
        for worker in self.workers.values():
            if worker.running and not worker.overdue:
                self._check_worker(worker, now)
        self._timer = None
        if self.waiting or self.in_flight:
            self._arm()

    def _check_worker(self, worker: RemoteWorker, now: float) -> None:
        """A run() past its deadline: its callers are answered, and the supervisor interrupts the worker (async: only the late task)."""
        concurrent = worker.contract["async"]
        for exchange in list(worker.running.values()):
            if exchange.cancelled_at:
                if now - exchange.cancelled_at > CANCEL_TAKES:
                    self._overdue(worker, now)
            elif self._is_late(worker, exchange, now):
                exchange.break_stream() if exchange.started_streaming else self.on_late(exchange)
                if concurrent:
                    exchange.cancelled_at = now
                    worker.tell(link.CANCEL, ident=exchange.ident)
                else:
                    self._overdue(worker, now)

    def _is_late(self, worker: RemoteWorker, exchange: Exchange, now: float) -> bool:
        if exchange.started_streaming:  # the wait for a client that is slow to read is not the script's
            return not exchange.is_write_paused and now - exchange.last_chunk_at >= self.limits.chunk_wait
        began = exchange.queued_at + exchange.queue_ms / 1000 if worker.contract["async"] else worker.run_started
        return now - began >= self.limits.deadline

    def _overdue(self, worker: RemoteWorker, now: float) -> None:
        if not worker.overdue:
            worker.overdue = True
            self._set_queue_limit()
            self.tell_supervisor(link.OVERDUE, {"worker": worker.ident, "ms": round((now - worker.run_started) * 1000)})

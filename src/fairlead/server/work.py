"""The loop that brings wanted to true: claims rows by lease and lets threads act on them.

A step ends with `After(seconds)`, which keeps the lease and comes back without holding a thread or asking the database, or with DONE, which lets it go.
A row changed in this process is looked at once (`News.tell_after`), one changed by another server within POLL seconds. Each kind of work has threads of its
own, so that builds never keep services waiting.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from fairlead.server.leases import Lease, LeaseLost, Leases
from fairlead.server.news import News

POLL = 1.0
WORST_PAUSE = 30.0
LOG = logging.getLogger("fairlead.server.work")


@dataclass(frozen=True, slots=True)
class After:
    seconds: float


class Done:
    """The lease is let go."""


DONE = Done()


def pause_after(tries: int, most: float, first: float = 1.0) -> float:
    """Seconds: twice as many after each try, however many there were."""
    return min(most, first * 2.0 ** min(tries, 64))


class Work(Protocol):
    """One kind of act. `step` is called by one thread at a time for each row; what it raises beyond LeaseLost is a fault of ours, and tried again."""

    @property
    def name(self) -> str: ...
    @property
    def leases(self) -> Leases[Any]: ...
    @property
    def threads(self) -> int: ...
    @property
    def holds_many(self) -> bool:
        """Whether rows that wait between steps may be held beyond the number of threads."""
        ...

    def step(self, lease: Lease) -> After | Done: ...


class Loop:
    """All kinds of work of one server."""

    def __init__(self, works: Sequence[Work], lease_seconds: float, news: News) -> None:
        self._stopping = threading.Event()
        self._crews = [Crew(work, lease_seconds, self._stopping) for work in works]
        news.listeners += [crew.wake for crew in self._crews]

    def start(self) -> None:
        for crew in self._crews:
            crew.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Steps that go on are given a while; leases of the others are free at once."""
        self._stopping.set()
        for crew in self._crews:
            crew.stop(timeout)


@dataclass(slots=True)
class _Held:
    lease: Lease
    at: float  # when the next step is due, on the monotonic clock
    running: bool = False
    again: bool = False
    failures: int = 0


class Crew:
    """One kind of work: a thread that claims and hands out, and threads that act. Daemons, so that a build does not keep the process from ending."""

    def __init__(self, work: Work, lease_seconds: float, stopping: threading.Event) -> None:
        self._work = work
        self._beat = lease_seconds / 3
        self._stopping = stopping
        self._changed = threading.Condition()
        self._is_started = False
        self._looks = True
        self._held: dict[str, _Held] = {}
        self._ready: queue.SimpleQueue[_Held | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._act, name=f"{work.name}-{number}", daemon=True) for number in range(work.threads)]
        self._chief = threading.Thread(target=self._lead, name=f"{work.name}-chief", daemon=True)
        self._heart = threading.Thread(target=self._keep, name=f"{work.name}-leases", daemon=True)

    def start(self) -> None:
        self._is_started = True
        self._work.leases.forget_former_life()
        for thread in (*self._threads, self._chief, self._heart):
            thread.start()

    def wake(self) -> None:
        with self._changed:
            self._looks = True
            self._changed.notify()

    def stop(self, timeout: float) -> None:
        with self._changed:
            self._changed.notify()
        if not self._is_started:
            return
        self._chief.join(timeout)
        for _ in self._threads:
            self._ready.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            idle = [each.lease for each in self._held.values() if not each.running]
        try:
            self._work.leases.release(idle, due=True)
        except SQLAlchemyError as error:
            LOG.warning("%s: leases were not released (%s)", self._work.name, error)

    def _lead(self) -> None:
        next_look = time.monotonic()
        while not self._stopping.is_set():
            if self._wait(next_look):
                self._look()
                next_look = time.monotonic() + POLL
            self._hand_out()

    def _wait(self, next_look: float) -> bool:
        """Until something is due; whether it is time to look into the database."""
        with self._changed:
            due = min([next_look, *(each.at for each in self._held.values() if not each.running)])
            if not self._looks and not self._stopping.is_set():
                self._changed.wait(max(0.0, due - time.monotonic()))
            looks, self._looks = self._looks or time.monotonic() >= next_look, False
            return looks and not self._stopping.is_set()

    def _look(self) -> None:
        leases = self._work.leases
        try:
            if not leases.due():
                return
            nudged, claimed = leases.nudges(), leases.claim(self._room())
        except SQLAlchemyError as error:
            LOG.warning("%s: the database does not answer (%s); trying again", self._work.name, str(error).splitlines()[0])
            return
        with self._changed:
            for lease in claimed:
                self._held[lease.id] = _Held(lease, time.monotonic())
            for held in [self._held[key] for key in nudged if key in self._held]:
                held.at, held.again = time.monotonic(), held.running
            missed = [key for key in nudged if key not in self._held]
        leases.nudge(missed)  # let go at this very moment: whoever claims next finds them due

    def _room(self) -> int:
        with self._changed:
            return 1000 if self._work.holds_many else self._work.threads - len(self._held)

    def _hand_out(self) -> None:
        with self._changed:
            for held in self._held.values():
                if not held.running and held.at <= time.monotonic():
                    held.running, held.again = True, False
                    self._ready.put(held)

    def _act(self) -> None:
        while (held := self._ready.get()) is not None:
            outcome = self._step(held)
            with self._changed:
                is_over = isinstance(outcome, Done) and not held.again
                if is_over and self._held.get(held.lease.id) is held:  # else it ran out meanwhile, and was claimed anew
                    del self._held[held.lease.id]
                held.running = False
                held.at = time.monotonic() + (outcome.seconds if isinstance(outcome, After) and not held.again else 0.0)
            if is_over:
                self._release(held)
            with self._changed:
                self._looks = self._looks or is_over  # there is room for another
                self._changed.notify()

    def _step(self, held: _Held) -> After | Done:
        try:
            outcome = self._work.step(held.lease)
            held.failures = 0
            return outcome
        except LeaseLost:
            return DONE
        except Exception:
            held.failures += 1
            LOG.exception("%s of %s failed; it is tried again", self._work.name, held.lease.id)
            return After(pause_after(held.failures, WORST_PAUSE, first=0.5))

    def _release(self, held: _Held) -> None:
        try:
            self._work.leases.release([held.lease])
        except SQLAlchemyError as error:
            LOG.warning("%s: a lease was not released (%s); it runs out by itself", self._work.name, str(error).splitlines()[0])

    def _keep(self) -> None:
        """Its own thread: neither a slow step nor a slow claim costs a lease."""
        while not self._stopping.wait(self._beat):
            with self._changed:
                held = [each.lease for each in self._held.values()]
            if not held:
                continue
            try:
                kept = self._work.leases.extend(held)
            except SQLAlchemyError as error:
                LOG.warning("%s: leases were not extended (%s)", self._work.name, str(error).splitlines()[0])
                continue
            with self._changed:
                for lease in held:
                    if lease.id not in kept and self._held.get(lease.id, _NOBODY).lease == lease:
                        self._held.pop(lease.id, None)


_NOBODY = _Held(Lease("", 0), 0.0)

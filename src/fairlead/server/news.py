"""Tells requests that wait for a change that there may be one. What changed, they read for themselves; other servers' changes they find by asking again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.orm import Session


class News:
    """Told by any thread, awaited on event loops. `listeners` are called by whoever tells."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[], None]] = []
        self.is_over = False
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def tell(self) -> None:
        with self._lock:
            waiting = list(self._waiting)
        for loop, arrived in waiting:
            try:
                loop.call_soon_threadsafe(arrived.set)
            except RuntimeError:  # its loop has ended, and with it who waited
                continue
        for listener in self.listeners:
            listener()

    def end(self) -> None:
        """There will be none: who waits goes home."""
        self.is_over = True
        self.tell()

    def tell_after(self, session: Session) -> None:
        """Once this transaction is committed."""
        event.listen(session, "after_commit", lambda _: self.tell(), once=True)

    @contextmanager
    def expecting(self) -> Iterator[asyncio.Event]:
        """Set by each `tell` from now on; begin to expect before reading, so that no change falls in between."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.add(waiter)
        try:
            yield waiter[1]
        finally:
            with self._lock:
                self._waiting.discard(waiter)

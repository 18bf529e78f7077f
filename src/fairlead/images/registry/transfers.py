"""Several blobs at a time; the first that fails ends the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import TypeVar

AT_ONCE = 3

T = TypeVar("T")
R = TypeVar("R")


def transfer_each(items: Iterable[T], act: Callable[[T, threading.Event], R]) -> Iterator[tuple[T, R]]:
    """What `act` gave for each, as they finish. `act` watches its event, and ends early once it is set."""
    stop = threading.Event()
    faults: list[BaseException] = []

    def attempt(item: T) -> R:
        if stop.is_set():
            raise CancelledError
        try:
            return act(item, stop)
        except BaseException as fault:
            faults.append(fault)
            stop.set()  # here, so that no thread begins another meanwhile
            raise

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="blobs") as pool:
        under_way: dict[Future[R], T] = {pool.submit(attempt, item): item for item in items}
        try:
            while under_way:
                for future in wait_for(under_way, return_when=FIRST_COMPLETED).done:
                    item = under_way.pop(future)
                    if faults:
                        raise faults[0]  # the first; the others end because of it
                    yield item, future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise

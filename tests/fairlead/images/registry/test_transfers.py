"""Several at a time: the first failure ends the rest."""

from __future__ import annotations

import threading

import pytest

from fairlead.errors import Unavailable
from fairlead.images.registry.transfers import AT_ONCE, transfer_each


def test_all_are_done_and_no_more_than_a_few_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def act(item: int, stop: threading.Event) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        stop.wait(0.01)
        with lock:
            running -= 1
        return item * 2

    assert dict(transfer_each(range(20), act)) == {each: each * 2 for each in range(20)}
    assert 1 < most <= AT_ONCE


def test_the_first_failure_ends_the_others() -> None:
    began = threading.Semaphore(0)
    ended: list[int] = []

    def act(item: int, stop: threading.Event) -> None:
        if item == 0:
            for _ in range(AT_ONCE - 1):
                assert began.acquire(timeout=60)
            raise Unavailable("It broke.")
        began.release()
        assert stop.wait(60)
        ended.append(item)

    with pytest.raises(Unavailable, match="It broke"):
        list(transfer_each(range(20), act))
    assert {1, AT_ONCE - 1} <= set(ended)
    assert len(ended) <= 2 * AT_ONCE  # a thread that is free takes the next before it hears of the failure

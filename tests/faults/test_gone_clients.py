"""R11: clients that hang up after a moment: their queued work is skipped and nothing is left behind."""

from __future__ import annotations

import contextlib
import threading

import pytest

from tests import hostile
from tests.faults.scripts import COUNTING
from tests.faults.subject import Subject, Subjects
from tests.waiting import until

PATIENCE = 0.01


@pytest.mark.parametrize("way", ["reset", "close"])
def test_the_work_of_clients_that_have_gone_is_skipped(subject: Subjects, long: bool, way: str) -> None:
    service = subject(COUNTING)
    waves, clients = (100 if long else 5), 60
    _calls(service)
    before, resident = service.descriptors(), service.resident()
    for wave in range(waves):
        skipped = service.status()["queue"]["skipped"]
        _wave(service.port, clients, wave, by_reset=way == "reset")
        until(lambda skipped=skipped: service.status()["queue"]["skipped"] >= skipped + clients - 3, "the queue to be given up")  # type: ignore[misc]
        until(lambda: service.status()["queue"]["waiting"] == 0, "the queue to be empty")
    entered, queued = _calls(service), waves * clients
    assert 1 <= entered <= 0.05 * queued, f"run() was entered {entered} times for {queued} requests whose clients had gone"
    until(lambda: service.descriptors() <= before, "the descriptors of gone clients to be closed")
    assert service.resident() - resident < 32 * 1024 * 1024


def test_dropped_connections_without_a_request_leave_nothing_behind(subject: Subjects, long: bool) -> None:
    service = subject(COUNTING)
    before = service.descriptors()
    for turn in range(100_000 if long else 1000):
        with contextlib.suppress(ConnectionError), hostile.connected(service.port) as connection:
            connection.sendall(b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf a body"[: 10 + turn % 70])
            hostile.drop(connection)
    assert _calls(service) == 0
    until(lambda: service.descriptors() <= before, "the descriptors to be closed")
    status = service.status()
    assert (status["queue"]["waiting"], status["queue"]["in_flight"], status["restarts"]) == (0, 0, 0)


def _wave(port: int, clients: int, wave: int, *, by_reset: bool) -> None:
    """All send, wait ten milliseconds, and hang up."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(hostile.connected(port)) for _ in range(clients)]
        for number, connection in enumerate(connections):
            connection.sendall(hostile.request(port, b'{"tag": %d}' % (wave * clients + number)))
        threading.Event().wait(PATIENCE)
        for connection in connections:
            if by_reset:
                hostile.drop(connection)
            else:
                connection.close()


def _calls(service: Subject) -> int:
    """How often run() was entered for anything but this question."""
    answer = service.service.post("/score", {"tag": -1})
    assert answer.status == 200, answer
    calls: int = answer.json()["calls"]
    return calls

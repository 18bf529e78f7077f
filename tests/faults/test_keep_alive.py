"""R3: clients that hold their connections across a drain or a restart get whole answers, then a `connection: close`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from tests import hostile
from tests.faults.scripts import same_tag, versioned
from tests.faults.subject import Subject, Subjects
from tests.traffic import Kind, Plan, Traffic
from tests.waiting import until


@pytest.mark.parametrize("work", [0.0, 0.05])
def test_a_drain_cuts_no_answer_and_no_kept_connection(subject: Subjects, work: float) -> None:
    service = subject(versioned(1, work=work), workers=2)
    with Traffic(Plan(port=service.port, connections=16, check=same_tag, seconds=20, requests=20_000)) as traffic:
        until(lambda: traffic.answered() > 100, "traffic")
        service.tell_supervisor(signal.SIGTERM)
        assert service.service.wait_exit() == 0
        with contextlib.suppress(AssertionError):
            until(lambda: traffic.record().outcomes[-1].kind is Kind.REFUSED, "the port to be closed", timeout=20)
    kinds = traffic.record().kinds()
    assert set(kinds) <= {"ok", "refused"}, traffic.record().explain()
    assert kinds["ok"] > 100


def test_replacing_supervisor_and_front_under_traffic_loses_nothing(subject: Subjects, long: bool) -> None:
    service = subject(versioned(1, work=0.005), workers=2)
    with Traffic(Plan(port=service.port, connections=16, rate=200, check=same_tag, seconds=120, requests=40_000)) as traffic:
        until(lambda: traffic.answered() > 50, "traffic")
        for _ in range(20 if long else 3):
            workers, front = service.workers(), service.status()["front_pid"]
            service.tell_supervisor(signal.SIGUSR2)
            until(lambda front=front: service.status()["front_pid"] != front, "a new front")  # type: ignore[misc]
            assert service.workers() == workers
    record = traffic.record()
    assert not record.failed(), record.explain()


def test_a_kept_idle_connection_is_told_to_close_with_its_next_answer(subject: Subjects) -> None:
    service = subject(versioned(1), "--drain-grace", "5")
    connection = service.service.connect()
    connection.request("POST", "/score", b'{"tag": 1}')
    assert connection.getresponse().read()
    service.tell_supervisor(signal.SIGTERM)
    until(lambda: _is_refused(service), "the port to be closed")
    connection.request("POST", "/score", b'{"tag": 2}')
    answer = connection.getresponse()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert b'"tag": 2' in answer.read()
    assert service.service.wait_exit() == 0


def test_pipelined_requests_are_answered_whole_and_in_order_through_a_drain(subject: Subjects) -> None:
    service = subject(versioned(1, work=0.1))
    data = b"".join(hostile.request(service.port, b'{"tag": %d}' % tag) for tag in range(8))
    with hostile.connected(service.port) as connection:
        connection.sendall(data)
        until(lambda: service.status()["queue"]["in_flight"] == 1, "the first to run")
        service.tell_supervisor(signal.SIGTERM)
        heard = _read_to_end(connection)
    answers = heard.split(b"HTTP/1.1 ")[1:]
    tags = [int(answer.rpartition(b'"tag":')[2].split(b",")[0]) for answer in answers if answer.startswith(b"200")]
    assert tags == list(range(len(tags)))
    assert tags, heard
    assert b"connection: close" in answers[-1].lower()
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}" in head.decode().lower(), "a truncated body"
    assert service.service.wait_exit() == 0


def _is_refused(service: Subject) -> bool:
    try:
        socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
    except OSError:
        return True
    return False


def _read_to_end(connection: socket.socket) -> bytes:
    parts, deadline = [], time.monotonic() + 20
    while (part := connection.recv(65536)) and time.monotonic() < deadline:
        parts.append(part)
    return b"".join(parts)


def test_a_stop_that_comes_while_the_supervisor_replaces_itself_is_not_lost(subject: Subjects) -> None:
    for pause in (0.0, 0.02, 0.05, 0.1, 0.2):
        service = subject(versioned(1))
        pid = service.status()["supervisor_pid"]
        os.kill(pid, signal.SIGUSR2)
        threading.Event().wait(pause)
        os.kill(pid, signal.SIGTERM)
        assert service.service.wait_exit(60) == 0, f"SIGTERM {pause} s after SIGUSR2; {service.log_text()[-2000:]}"
        until(lambda service=service: not service.service.processes(), "all processes to end")  # type: ignore[misc]

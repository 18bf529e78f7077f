"""R4a, R5: the supervisor, the front or a worker is killed; the others go on."""

from __future__ import annotations

import os
import signal

from tests.faults.scripts import same_tag, versioned
from tests.faults.subject import Subject, Subjects
from tests.traffic import Kind, Plan, Record, Traffic
from tests.waiting import until


def test_a_killed_supervisor_is_replaced_and_no_request_fails(subject: Subjects, long: bool) -> None:
    service = subject(versioned(1, work=0.002), workers=2)
    workers = service.workers()
    with Traffic(Plan(port=service.port, rate=200, connections=16, check=same_tag, requests=40_000, seconds=120)) as traffic:
        for _ in range(10 if long else 2):
            killed = service.status()["supervisor_pid"]
            os.kill(killed, signal.SIGKILL)
            until(lambda killed=killed: service.status()["supervisor_pid"] not in {killed, None}, "a new supervisor")  # type: ignore[misc]
            assert service.workers() == workers
    assert not traffic.record().failed(), traffic.record().explain()


def test_a_new_supervisor_does_the_work_of_the_old_one(subject: Subjects) -> None:
    service = subject(versioned(1), workers=2)
    killed = service.status()["supervisor_pid"]
    os.kill(killed, signal.SIGKILL)
    until(lambda: service.status()["supervisor_pid"] not in {killed, None}, "a new supervisor")
    gone = min(service.workers().values())
    os.kill(gone, signal.SIGKILL)
    until(lambda: len(service.workers()) == 2 and gone not in service.workers().values(), "a new worker")
    service.reload(versioned(2))
    assert service.service.post("/score", {"tag": 1}).json() == {"tag": 1, "version": 2}
    front = service.status()["front_pid"]
    os.kill(front, signal.SIGKILL)
    until(lambda: service.status()["front_pid"] != front, "a new front")
    service.tell_supervisor(signal.SIGTERM)
    until(lambda: not service.service.processes(), "everything to end")


def test_a_killed_front_costs_its_own_connections_and_no_model(subject: Subjects) -> None:
    service = subject(versioned(1, load=1.0, work=0.002), workers=2)
    workers, front = service.workers(), service.status()["front_pid"]
    connections = 8
    with Traffic(Plan(port=service.port, rate=200, connections=connections, check=same_tag, seconds=60)) as traffic:
        until(lambda: traffic.answered() > 100, "traffic")
        os.kill(front, signal.SIGKILL)
        until(lambda: _front(service) not in {front, None}, "a new front")
        answered = traffic.answered()
        until(lambda: traffic.answered() > answered + 100, "traffic after the new front")
    record = traffic.record()
    assert service.workers() == workers, "the models stay loaded"
    assert len(record.failed()) <= connections, record.explain()
    assert {one.kind for one in record.failed()} <= {Kind.RESET, Kind.TRUNCATED}, record.explain()
    assert all(one.reused for one in record.failed()), record.explain()


def test_killed_workers_cost_only_the_requests_they_had(subject: Subjects, long: bool) -> None:
    service = subject(versioned(1, load=0.3, work=0.05), workers=4)
    kills = 60 if long else 5
    with Traffic(Plan(port=service.port, connections=16, check=same_tag, seconds=200, requests=100_000)) as traffic:
        for _ in range(kills):
            until(lambda: len(service.workers()) == 4, "four workers")
            answered = traffic.answered()
            until(lambda answered=answered: traffic.answered() > answered + 30, "traffic")  # type: ignore[misc]
            os.kill(min(service.workers().values()), signal.SIGKILL)
    _check_deaths(traffic.record(), kills)


def _check_deaths(record: Record, kills: int) -> None:
    lost = record.failed()
    assert {(one.kind, one.status) for one in lost} <= {(Kind.STATUS, 503)}, record.explain()
    assert all(one.retry_after for one in lost)
    assert 1 <= len(lost) <= kills, f"one request at a time in a worker: at most one lost per kill; {record.explain()}"


def test_without_a_usable_worker_the_service_is_not_ready(subject: Subjects) -> None:
    service = subject(versioned(1, load=1.0), workers=1)
    (pid,) = service.workers().values()
    os.kill(pid, signal.SIGKILL)
    until(lambda: service.service.get("/readyz").status == 503, "the truth about readiness")
    assert service.service.get("/").status == 503
    assert service.service.get("/livez").status == 200
    service.service.wait_ready()
    assert service.workers() != {}
    assert service.service.post("/score", {"tag": 5}).json()["tag"] == 5


def _front(service: Subject) -> int | None:
    try:
        pid: int | None = service.status()["front_pid"]
    except OSError:
        return None
    return pid

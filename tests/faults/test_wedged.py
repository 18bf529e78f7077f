"""R6: a worker that hangs is found and replaced, the reason is told, and its neighbours go on."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.faults.scripts import WEDGING, same_tag
from tests.faults.subject import Subject, Subjects
from tests.live import Reply
from tests.traffic import Plan, Traffic
from tests.waiting import until

BEAT = 0.5
FAST = {"FAIRLEAD_HEARTBEAT_SECONDS": str(BEAT), "SCORING_TIMEOUT_MS": "1000"}
SILENT = {"FAIRLEAD_HEARTBEAT_SECONDS": str(BEAT), "SCORING_TIMEOUT_MS": "60000"}


@pytest.mark.parametrize(
    ("what", "env", "reason"),
    [("stubborn", FAST, "deadline"), ("hold the lock in C", SILENT, "heartbeat"), ("stop", SILENT, "heartbeat")],
)
def test_a_wedged_worker_is_replaced_and_says_why(subject: Subjects, what: str, env: dict[str, str], reason: str) -> None:
    service = subject(WEDGING, workers=2, env=env)
    before = set(service.workers().values())
    with Traffic(Plan(port=service.port, rate=50, connections=8, check=same_tag, seconds=60)) as traffic:
        with traffic.marked("wedged"):
            answer, seconds = _wedge(service, what)
        until(lambda: _replaced(service, before), "a new worker")
    assert answer.status in {500, 503}, answer
    assert seconds < 20, "found after two beats or at the deadline of a second, long before that of a minute"
    assert reason in service.status()["reason"], service.status()
    assert reason in service.log_text()
    assert service.status()["restarts"] == 1
    assert not traffic.record().failed(), f"neighbours: {traffic.record().explain()}"
    assert traffic.within("wedged").outcomes, "nobody waits for the wedged one"


@pytest.mark.parametrize("what", ["deadlock", "spin"])
def test_python_that_can_be_interrupted_is_answered_for_at_its_deadline(subject: Subjects, what: str) -> None:
    service = subject(WEDGING, workers=2, env=FAST)
    with Traffic(Plan(port=service.port, rate=50, connections=8, check=same_tag, seconds=60)) as traffic:
        with traffic.marked("wedged"):
            answer, seconds = _wedge(service, what)
        until(lambda: len(service.workers()) == 2, "both workers")
        answered = traffic.answered()
        until(lambda: traffic.answered() > answered + 50, "traffic")
    assert (answer.status, answer.json()["message"]) == (500, "Scoring timeout after 1000 ms")
    assert answer.headers["x-ms-run-function-failed"] == "True"
    assert seconds > 0.9
    assert traffic.within("wedged").outcomes, "nobody waits for the wedged one"
    assert "deadline" in service.log_text()
    assert not traffic.record().failed(), traffic.record().explain()


def test_a_request_that_ends_its_worker_is_503_and_the_worker_comes_back(subject: Subjects) -> None:
    service = subject(WEDGING, env=SILENT)
    before = set(service.workers().values())
    answer, _ = _wedge(service, "die")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    until(lambda: _replaced(service, before, workers=1), "a new worker")
    assert "exited with 9" in service.status()["reason"]


def test_a_supervisor_that_stood_still_itself_blames_no_worker(subject: Subjects) -> None:
    """After SIGSTOP and SIGCONT every child looks silent; that silence was the supervisor's."""
    service = subject(WEDGING, workers=2, env=SILENT)
    workers = service.workers()
    process = next(one for one in service.service.processes() if one.pid == service.status()["supervisor_pid"])
    process.suspend()
    continued = threading.Timer(4 * BEAT, process.resume)
    continued.start()
    continued.join()
    stood = time.monotonic()
    until(lambda: time.monotonic() > stood + 3 * BEAT, "three more beats")
    assert service.workers() == workers
    assert service.status()["restarts"] == 0


def _wedge(service: Subject, what: str) -> tuple[Reply, float]:
    begun = time.monotonic()
    answer = service.service.post("/score", json.dumps({"tag": 0, "do": what}))
    return answer, time.monotonic() - begun


def _replaced(service: Subject, before: set[int], workers: int = 2) -> bool:
    status: dict[str, Any] = service.status()
    now = {worker["pid"] for worker in status["workers"] if worker["state"] == "ready"}
    return len(now) == workers and len(now & before) == workers - 1

"""R9: ten times more than the service can do: a bounded queue, refusals that wait for nobody, and work that goes on.

How quick a refusal is and what it takes from the work, `python -m benchmarks.overload` measures.
"""

from __future__ import annotations

from pathlib import Path

from tests.faults.scripts import COUNTING, gated, same_tag, versioned
from tests.faults.subject import Subjects
from tests.traffic import Kind, Plan, Record, Traffic
from tests.waiting import until

WORK = 0.02  # seconds: 50 requests per second
WAITING = 64
MIB = 1024 * 1024
PATIENT = {"FAIRLEAD_MAX_WAIT_SECONDS": "600", "SCORING_TIMEOUT_MS": "600000"}


def test_refusals_wait_for_no_work(subject: Subjects, tmp_path: Path) -> None:
    """The worker stands still until every refusal is here, and then owes an answer to exactly those that were taken."""
    gate = tmp_path / "gate"
    service = subject(gated(gate), env=PATIENT)
    resident = service.resident()
    taken, requests = 1 + WAITING, 3000
    with Traffic(Plan(port=service.port, connections=200, requests=requests, check=same_tag, patience=120)) as traffic:
        until(lambda: traffic.answered() == requests - taken, "the refusals")
        refused, queue = traffic.record(), service.status()["queue"]
        assert (queue["in_flight"], queue["waiting"], queue["limit"]) == (1, WAITING, WAITING)
        assert service.resident() < resident + 64 * MIB
        gate.touch()
        record = traffic.wait()
    _check_refusals(refused)
    assert refused.kinds() == {"status 429": requests - taken}, refused.explain()
    assert record.kinds() == {"status 429": requests - taken, "ok": taken}, record.explain()


def test_overload_is_bounded_and_takes_nothing_from_the_work(subject: Subjects, long: bool) -> None:
    seconds = 300.0 if long else 5.0
    service = subject(versioned(1, work=WORK))
    resident, deepest, spent = service.resident(), 0, service.front_spent()
    plan = Plan(port=service.port, rate=10 / WORK, connections=200, check=same_tag, seconds=seconds, requests=200_000)
    with Traffic(plan) as traffic:
        while (sent := traffic.answered()) < plan.seconds * 10 / WORK * 0.9:
            queue = service.status()["queue"]
            deepest = max(deepest, queue["waiting"])
            assert queue["waiting"] <= queue["limit"] == WAITING
            assert service.resident() < resident + 64 * MIB
            until(lambda sent=sent: traffic.answered() > sent or not traffic.is_running, "traffic")  # type: ignore[misc]
            if not traffic.is_running:
                break
    record = traffic.record()
    assert deepest > WAITING / 2, "the test did not overload the service"
    _check_refusals(record)
    each = (service.front_spent() - spent) / len(record.outcomes)
    assert each < WORK / 20, f"a request costs the front {each * 1000:.2f} ms of a processor; ten of them in the time of one would leave less than half of it"
    until(lambda: service.status()["queue"]["waiting"] == 0, "the queue to be empty")
    assert service.service.post("/score", {"tag": 1}).status == 200


def test_what_is_refused_never_reaches_the_script(subject: Subjects) -> None:
    service = subject(COUNTING, "--max-waiting", "2")
    with Traffic(Plan(port=service.port, connections=16, requests=64)) as traffic:
        record = traffic.wait()
    _check_refusals(record)
    answered = len(record.outcomes) - len(record.failed())
    assert 0 < answered < 64, record.explain()
    assert service.service.post("/score", {"tag": -1}).json()["calls"] == answered


def test_who_waits_too_long_is_told_503(subject: Subjects) -> None:
    service = subject(versioned(1, work=0.3), env={"FAIRLEAD_MAX_WAIT_SECONDS": "1"})
    with Traffic(Plan(port=service.port, connections=16, requests=32, check=same_tag)) as traffic:
        record = traffic.wait()
    late = [one for one in record.failed() if one.status == 503]
    assert late, record.explain()
    assert set(record.kinds()) == {"ok", "status 503"}, record.explain()
    assert all(one.retry_after and one.latency > 0.9 for one in late), record.explain()


def _check_refusals(record: Record) -> None:
    refused = record.failed()
    assert refused
    assert {(one.kind, one.status) for one in refused} <= {(Kind.STATUS, 429), (Kind.STATUS, 503)}, record.explain()
    assert all(int(one.retry_after) > 0 for one in refused)

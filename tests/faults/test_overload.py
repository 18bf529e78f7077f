"""R9: ten times more than the service can do: a bounded queue, quick refusals, and work that goes on."""

from __future__ import annotations

import statistics

from tests.faults.scripts import same_tag, versioned
from tests.faults.subject import Subject, Subjects
from tests.traffic import Kind, Plan, Record, Traffic
from tests.waiting import until

WORK = 0.02  # seconds: 50 requests per second
MIB = 1024 * 1024


def test_overload_is_refused_quickly_and_does_not_slow_the_work(subject: Subjects, long: bool) -> None:
    seconds = 300.0 if long else 5.0
    service = subject(versioned(1, work=WORK))
    capacity = _capacity(service)
    resident, deepest = service.resident(), 0
    plan = Plan(port=service.port, rate=10 / WORK, connections=200, check=same_tag, seconds=seconds, requests=200_000)
    with Traffic(plan) as traffic:
        while (sent := traffic.answered()) < plan.seconds * 10 / WORK * 0.9:
            status = service.status()
            deepest = max(deepest, status["queue"]["waiting"])
            assert status["queue"]["waiting"] <= status["queue"]["limit"] == 64
            assert service.resident() < resident + 64 * MIB
            until(lambda sent=sent: traffic.answered() > sent or not traffic.is_running, "traffic")  # type: ignore[misc]
            if not traffic.is_running:
                break
    record = traffic.record()
    assert deepest > 32, "the test did not overload the service"
    _check_refusals(record)
    answered = len(record.outcomes) - len(record.failed())
    spent = max(one.ended for one in record.outcomes) - min(one.due for one in record.outcomes)
    assert answered / spent > (0.9 if long else 0.75) * capacity, f"{answered / spent:.1f} of {capacity:.1f} requests per second"
    until(lambda: service.status()["queue"]["waiting"] == 0, "the queue to be empty", timeout=10)
    assert service.service.post("/score", {"tag": 1}).status == 200


def test_who_waits_too_long_is_told_503(subject: Subjects) -> None:
    service = subject(versioned(1, work=0.3), env={"FAIRLEAD_MAX_WAIT_SECONDS": "1"})
    with Traffic(Plan(port=service.port, connections=16, requests=32, check=same_tag)) as traffic:
        record = traffic.wait()
    late = [one for one in record.failed() if one.status == 503]
    assert late, record.explain()
    assert set(record.kinds()) == {"ok", "status 503"}, record.explain()
    assert all(one.retry_after and 0.9 < one.latency < 3.0 for one in late), record.explain()


def _capacity(service: Subject) -> float:
    """Requests per second that the service does when it is just full."""
    with Traffic(Plan(port=service.port, connections=4, requests=100, check=same_tag)) as traffic:
        record = traffic.wait()
    assert not record.failed(), record.explain()
    return len(record.outcomes) / (max(one.ended for one in record.outcomes) - min(one.due for one in record.outcomes))


def _check_refusals(record: Record) -> None:
    refused = record.failed()
    assert {(one.kind, one.status) for one in refused} <= {(Kind.STATUS, 429), (Kind.STATUS, 503)}, record.explain()
    assert all(int(one.retry_after) > 0 for one in refused)
    quick = [one.latency for one in refused if one.status == 429]
    assert statistics.median(quick) < 0.05, f"the median refusal took {statistics.median(quick) * 1000:.0f} ms"

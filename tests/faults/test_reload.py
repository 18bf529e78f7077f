"""R1: a new version takes over under steady traffic, again and again, and no request notices."""

from __future__ import annotations

from collections import defaultdict

from tests.faults.scripts import same_tag, version_of, versioned
from tests.faults.subject import Subject, Subjects
from tests.traffic import Ask, Plan, Reply, Traffic
from tests.waiting import until


def test_reloads_of_a_slow_model_under_steady_traffic_lose_nothing(subject: Subjects, long: bool) -> None:
    reloads, load = (50, 10.0) if long else (8, 0.5)
    service = subject(versioned(0, load=load), workers=2)
    served: defaultdict[str, set[int]] = defaultdict(set)
    order: list[int] = []

    def check(ask: Ask, reply: Reply) -> str:
        served[reply.headers["x-fairlead-revision"]].add(version_of(reply))
        order.append(version_of(reply))
        return same_tag(ask, reply)

    plan = Plan(port=service.port, rate=200, connections=16, check=check, seconds=1500 if long else 60, requests=400_000)
    with Traffic(plan) as traffic:
        for version in range(1, reloads + 1):
            before, old, change = len(order), service.status()["revision"], f"change {version}"
            with traffic.marked(change):
                service.reload(versioned(version, load=load), timeout=load + 60)
            assert set(order[before:]) <= {version - 1, version}
            assert sum(one.revision == old for one in traffic.within(change).outcomes) > 20, "requests waited for the load"
    record = traffic.record()
    assert not record.failed(), record.explain()
    assert set(order) == set(range(reloads + 1))
    assert all(len(versions) == 1 for versions in served.values()), f"a revision's header is its own: {dict(served)}"


def test_a_request_that_runs_during_a_reload_is_answered_by_the_version_that_has_it(subject: Subjects) -> None:
    service = subject(versioned(1, work=1.5))
    versions: list[int] = []

    def check(ask: Ask, reply: Reply) -> str:
        versions.append(version_of(reply))
        return same_tag(ask, reply)

    with Traffic(Plan(port=service.port, connections=1, requests=1, check=check)) as traffic:
        _until_running(service)
        service.reload(versioned(2))
        record = traffic.wait()
    assert not record.failed(), record.explain()
    assert versions == [1]


def _until_running(service: Subject) -> None:
    until(lambda: service.status()["queue"]["in_flight"] == 1, "the request to reach the worker")

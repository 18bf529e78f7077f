"""Services swapped behind the router under steady traffic lose no request; a killed proxy, keeper or replica costs no more than what it had in hand."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Router
from tests.fairlead.routers.services import HANDLE, live, published, route_to
from tests.faults.scripts import same_tag, version_of, versioned
from tests.faults.subject import Subject, Subjects
from tests.live import free_port
from tests.traffic import Ask, Kind, Plan, Reply, Traffic
from tests.waiting import until

pytestmark = pytest.mark.needs("envoy")

JSON = ("content-type", "application/json")


@pytest.fixture
def router(tmp_path: Path) -> Iterator[EnvoyRouter]:
    router = EnvoyRouter(tmp_path / "router")
    try:
        yield router
    finally:
        router.end()


def closing(tag: int) -> Ask:
    return Ask(tag=tag, body=b'{"tag": %d}' % tag, headers=(JSON, ("connection", "close")))


def retire_replica(router: Router, replica: Subject) -> None:
    """As a target does: once nothing is in flight there."""

    def is_at_rest() -> bool:
        seen = router.observe(HANDLE)
        return seen is not None and seen.is_live and seen.in_flight is not None and not seen.in_flight.get(f"127.0.0.1:{replica.port}", 0)

    until(is_at_rest, "the old replica to have answered everything")
    replica.tell_supervisor(signal.SIGTERM)


@pytest.mark.parametrize("replicas", [1, 2])
def test_replicas_that_are_swapped_lose_nothing(router: EnvoyRouter, subject: Subjects, long: bool, replicas: int) -> None:
    swaps = 100 if long else 8 // replicas
    port = free_port()
    current = [subject(versioned(0, work=0.01)) for _ in range(replicas)]
    retired: list[Subject] = []
    published(router, route_to(*current, port=port))
    order: list[int] = []

    def check(ask: Ask, reply: Reply) -> str:
        order.append(version_of(reply))
        return same_tag(ask, reply)

    kept = Plan(port=port, rate=60, connections=12, check=check, seconds=1000)
    closed = Plan(port=port, rate=30, connections=6, check=check, ask=closing, seconds=1000)
    with Traffic(kept) as steady, Traffic(closed) as restless:
        for version in range(1, swaps + 1):
            new = [subject(versioned(version, work=0.01)) for _ in range(replicas)]
            published(router, route_to(*new, port=port))
            before = len(order)
            for old in current:
                retire_replica(router, old)
            retired += current
            current = new
            until(lambda before=before: len(order) > before + 20, "more requests to be answered")  # type: ignore[misc]
            assert set(order[before:]) <= {version - 1, version}
    for record in (steady.record(), restless.record()):
        assert not record.failed(), record.explain()
        assert len(record.revisions()) == swaps + 1
    assert [one.service.wait_exit() for one in retired] == [0] * len(retired)


def test_a_killed_proxy_is_back_by_itself_and_serves_what_was_published(router: EnvoyRouter, subject: Subjects) -> None:
    route = published(router, route_to(subject(versioned(0))))
    with Traffic(Plan(port=route.port, rate=50, connections=4, check=same_tag, seconds=1000)) as traffic:
        for _ in range(2):
            until_served(traffic, after=time.monotonic())
            with traffic.marked("killed"):
                os.kill(envoy_of(router), signal.SIGKILL)
                until_served(traffic, after=time.monotonic())
        assert live(router).is_live
        until_served(traffic, after=time.monotonic())
    hurt, record = traffic.window("killed"), traffic.record()
    assert len(hurt.failed()) == len(record.failed()), record.explain()
    assert {one.kind for one in hurt.failed()} <= {Kind.REFUSED, Kind.RESET}, hurt.explain()


def until_served(traffic: Traffic, after: float) -> None:
    """Until a request is answered well that was due after that moment."""
    until(lambda: any(one.kind is Kind.OK and one.due > after for one in traffic.record().outcomes), "a request to be answered")


def envoy_of(router: EnvoyRouter) -> int:
    pid = int((router.folder / "envoy.lock").read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return pid
    raise AssertionError(f"process {pid} of Envoy does not run")

"""R1 and S5 in containers: updates, scaling, rollback and new keys under steady traffic through the router lose nothing."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import replace

import pytest

from fairlead.targets.docker import rounds
from fairlead.targets.types import Auth, Service, State
from fairlead.testing.routers import FakeRouter
from tests.fairlead.targets.bench import PLAIN, SLOW
from tests.fairlead.targets.contract import next_of, settled
from tests.fairlead.targets.docker_bench import DockerBench
from tests.traffic import Ask, Plan, Reply, Traffic
from tests.waiting import until

pytestmark = pytest.mark.engine


def version_of(service: Service, version: int, load: float, bench: DockerBench) -> Service:
    """Everything says the version: image, variable, secret, revision."""
    return replace(
        service,
        generation=version,
        revision=f"r{version}",
        image=bench.gallery.image(SLOW.format(load=load, version=version)),
        environment={"VERSION": str(version)},
        secrets={"version": str(version).encode()},
    )


def test_updates_of_a_slow_model_under_steady_traffic_lose_nothing(routed: DockerBench, long: bool) -> None:
    updates, load = (30, 1.0) if long else (3, 0.5)
    first = version_of(routed.service(), 1, load, routed)
    routed.target.apply(first)
    settled(routed.target, first.handle)
    served: defaultdict[str, set[int]] = defaultdict(set)
    order: list[int] = []

    def check(ask: Ask, reply: Reply) -> str:
        said = json.loads(reply.body)
        served[reply.headers["x-fairlead-revision"]].add(said["version"])
        order.append(said["version"])
        together = {str(said["version"]), said["variable"], said["secret"], reply.headers["x-fairlead-revision"].removeprefix("r")}
        return "" if said["tag"] == ask.tag and len(together) == 1 else f"asked {ask.tag}, got {said}, {reply.headers}"

    plan = Plan(port=routed.port(first.handle), rate=100, connections=16, check=check, seconds=900, requests=200_000)
    with Traffic(plan) as traffic:
        for version in range(2, updates + 2):
            routed.target.apply(version_of(first, version, load, routed))
            assert settled(routed.target, first.handle).revision == f"r{version}"
            until(lambda: order[-1] == version, "the new version to answer")  # noqa: B023 - asked at once
        _until_one_is_left(routed, first)
    record = traffic.record()
    assert not record.failed(), record.explain()
    assert set(order) == set(range(1, updates + 2))
    assert all(len(versions) == 1 for versions in served.values()), f"a revision's header is its own: {dict(served)}"


def test_failing_updates_scaling_and_rollback_lose_nothing(routed: DockerBench) -> None:
    service = routed.service()
    routed.target.apply(service)
    settled(routed.target, service.handle)
    (first,) = routed.containers()
    with Traffic(Plan(port=routed.port(service.handle), rate=100, connections=8, seconds=600)) as traffic:
        bad = routed.gallery.image("def init():\n    print('here it comes')\n    raise RuntimeError('the weights are gone')\n\ndef run(data): return 1\n")
        routed.target.apply(next_of(service, image=bad))
        seen = settled(routed.target, service.handle)
        assert (seen.state, seen.revision, seen.generation) == (State.RUNNING, "r1", 2)
        assert seen.failure is not None
        assert (seen.failure.stage, seen.failure.cause) == ("starting", "init-raised")
        assert "the weights are gone" in seen.failure.message
        assert "here it comes" in seen.failure.log_lines
        for generation, replicas in ((3, 3), (4, 1)):
            routed.target.apply(replace(service, generation=generation, replicas=replicas))
            assert settled(routed.target, service.handle).workers_ready == replicas
            if replicas == 3:
                assert first in routed.containers(), "scaling adds containers, and leaves those that are there"
        _until_one_is_left(routed, service)
        routed.target.apply(replace(service, generation=5, revision="r5", image=routed.gallery.image(PLAIN.format(version=5))))
        assert settled(routed.target, service.handle).revision == "r5"
        routed.target.apply(replace(service, generation=6))
        assert settled(routed.target, service.handle).revision == "r1"
        _until_one_is_left(routed, service)
    record = traffic.record()
    assert not record.failed(), record.explain()
    assert record.revisions() == {"r1", "r5"}


def test_keys_are_rotated_under_load_in_the_same_container(routed: DockerBench) -> None:
    """S5: at any moment one of the two keys that a client may hold is valid."""
    keys = {"primary": "p0", "secondary": "s0"}
    service = routed.service(auth=_auth(keys))
    routed.target.apply(service)
    settled(routed.target, service.handle)
    before = routed.containers()
    used = ["s0"]

    def ask(tag: int) -> Ask:
        return Ask(tag=tag, body=b'{"tag": %d}' % tag, headers=(("content-type", "application/json"), ("authorization", f"Bearer {used[0]}")))

    with Traffic(Plan(port=routed.port(service.handle), rate=100, connections=8, seconds=600, ask=ask)) as traffic:
        for generation in range(2, 6):
            name = ("primary", "secondary")[generation % 2]
            old, keys[name] = keys[name], f"{name}-{generation}"
            routed.target.apply(replace(service, generation=generation, auth=_auth(keys)))
            assert settled(routed.target, service.handle).generation == generation
            until(lambda: _may(routed, service, keys[name]), "the new key")  # noqa: B023 - asked at once
            assert not _may(routed, service, old), "revoked"
            used[0] = keys[name]
            answered = traffic.answered()
            until(lambda: traffic.answered() > answered + 30, "traffic")  # noqa: B023
    assert not traffic.record().failed(), traffic.record().explain()
    assert routed.containers() == before, "models stay loaded"


def test_a_candidate_gets_requests_only_once_it_has_answered_the_sample_as_recorded(docker: DockerBench) -> None:
    assert isinstance(docker.router, FakeRouter)
    service = docker.service(sample=b'{"tag": 7}', expected=b'{"tag": 7, "version": 1}')
    docker.target.apply(service)
    assert settled(docker.target, service.handle).state is State.RUNNING
    published = list(docker.router.published)
    docker.target.apply(next_of(service, image=docker.gallery.image(PLAIN.format(version=2))))
    seen = settled(docker.target, service.handle)
    assert (seen.state, seen.revision) == (State.RUNNING, "r1")
    assert seen.failure is not None
    assert (seen.failure.stage, seen.failure.cause) == ("proving", "answer-differs")
    assert docker.router.published == published


def test_replicas_with_requests_in_hand_are_waited_for(docker: DockerBench) -> None:
    assert isinstance(docker.router, FakeRouter)
    service = docker.service()
    docker.target.apply(service)
    settled(docker.target, service.handle)
    port = docker.port(service.handle)
    docker.router.busy(service.handle, f"127.0.0.1:{port}", 1)
    docker.target.apply(next_of(service))
    assert settled(docker.target, service.handle).revision == "r2"
    for _ in range(10):
        docker.target.observe(service.handle)
    assert len(docker.containers()) == 2
    assert (port, 0) in [(each.port, each.weight) for each in docker.router.published[-1].upstreams]
    docker.router.busy(service.handle, f"127.0.0.1:{port}", 0)
    _until_one_is_left(docker, service)


def test_a_router_that_does_not_take_the_new_replicas_leaves_the_old_ones(docker: DockerBench, monkeypatch: pytest.MonkeyPatch) -> None:
    router = docker.router
    assert isinstance(router, FakeRouter)
    monkeypatch.setattr(rounds, "LIVE_WITHIN", 1.0)
    service = docker.service()
    docker.target.apply(service)
    settled(docker.target, service.handle)
    (first,) = docker.containers()
    router.is_patient = True
    docker.target.apply(next_of(service))
    until(lambda: docker.target.observe(service.handle).state is State.UPDATING and len(router.published) > 1, "the new one to be published")
    router.refuse(service.handle, "its memory is full")
    seen = settled(docker.target, service.handle)
    assert (seen.revision, seen.failure and seen.failure.cause) == ("r1", "front-failed")
    assert "its memory is full" in seen.message
    router.is_patient = False
    router.settle(service.handle)
    _until_one_is_left(docker, service)
    assert docker.containers() == [first]


def _until_one_is_left(bench: DockerBench, service: Service) -> None:
    def is_one() -> bool:
        bench.target.observe(service.handle)
        return len(bench.containers()) == 1 == len(bench.engine.volumes(bench.labels))

    until(is_one, "the old ones and their inputs to be removed", timeout=90)


def _auth(keys: dict[str, str]) -> Auth:
    return Auth(mode="key", key_hashes={name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()})


def _may(bench: DockerBench, service: Service, key: str) -> bool:
    return bench.request(service, body={"tag": 1}, headers={"authorization": f"Bearer {key}"}).status == 200

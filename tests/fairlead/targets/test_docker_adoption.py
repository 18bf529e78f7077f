"""A server that ends in any moment of an update, and the one that comes after it; two servers on one engine; what is left at the end: nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fairlead.errors import Unavailable
from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Route
from fairlead.targets.docker import DockerTarget, Engine, find, rounds
from fairlead.targets.docker.blueprint import Blueprint
from fairlead.targets.types import Auth, Service, State, Target
from fairlead.testing.routers import FakeRouter
from tests.fairlead.targets.bench import PLAIN
from tests.fairlead.targets.contract import next_of, settled
from tests.fairlead.targets.docker_bench import DockerBench
from tests.traffic import Plan, Traffic
from tests.waiting import until

pytestmark = pytest.mark.engine

SHORT = (1, 2, 4, 5, 6)


class PowerCut(Exception):
    """The process is gone: nobody catches this."""


class Fuse:
    """Blows at one of the orders that an update gives, before or after it is carried out."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.given = at, after, 0

    def guard(self, order: Callable[[], Any]) -> Any:
        self.given += 1
        if self.given > self.at or (self.given == self.at and not self.after):
            raise PowerCut
        done = order()
        if self.given == self.at:
            raise PowerCut
        return done


class MortalEngine(Engine):
    fuse: Fuse

    def create_volume(self, name: str, labels: Any) -> None:
        self.fuse.guard(lambda: super(MortalEngine, self).create_volume(name, labels))

    def create(self, blueprint: Blueprint) -> str:
        return str(self.fuse.guard(lambda: super(MortalEngine, self).create(blueprint)))

    def put(self, container: str, folder: str, archive: bytes) -> None:
        self.fuse.guard(lambda: super(MortalEngine, self).put(container, folder, archive))

    def start(self, container: str) -> None:
        self.fuse.guard(lambda: super(MortalEngine, self).start(container))

    def keep_running(self, container: str) -> None:
        self.fuse.guard(lambda: super(MortalEngine, self).keep_running(container))

    def stop(self, container: str, seconds: int) -> None:
        self.fuse.guard(lambda: super(MortalEngine, self).stop(container, seconds))

    def remove(self, container: str) -> None:
        self.fuse.guard(lambda: super(MortalEngine, self).remove(container))

    def remove_volume(self, name: str) -> None:
        self.fuse.guard(lambda: super(MortalEngine, self).remove_volume(name))


class MortalRouter:
    def __init__(self, real: FakeRouter, fuse: Fuse) -> None:
        self._real, self._fuse = real, fuse
        self.observe, self.retire, self.handles = real.observe, real.retire, real.handles

    def publish(self, route: Route) -> None:
        self._fuse.guard(lambda: self._real.publish(route))


@pytest.mark.parametrize("after", [True, False])
def test_an_update_goes_on_after_a_power_cut_at_any_order(docker: DockerBench, after: bool, long: bool) -> None:
    service = docker.service()
    docker.target.apply(service)
    settled(docker.target, service.handle)
    for number, at in enumerate(range(1, 12) if long else SHORT if after else SHORT[::2]):
        following = replace(service, generation=number + 2, revision=f"r{number + 2}", image=docker.gallery.image(PLAIN.format(version=number % 2)))
        _update_until_the_cut(docker, following, Fuse(at, after=after))
        heir = docker.another_target()
        heir.apply(following)
        seen = settled(heir, service.handle)
        assert (seen.state, seen.revision, seen.failure) == (State.RUNNING, following.revision, None), f"cut at order {at}"
        until(lambda: _is_alone(docker, heir, service.handle), f"one container and its volume to be left after a cut at order {at}")  # noqa: B023
    assert docker.request(service, body={"tag": 1}).status == 200


def _update_until_the_cut(bench: DockerBench, wanted: Service, fuse: Fuse) -> None:
    assert isinstance(bench.router, FakeRouter)
    engine = MortalEngine(find())
    engine.fuse = fuse
    target = DockerTarget(bench.state, engine, MortalRouter(bench.router, fuse), bench.gallery.archive)
    try:
        target.apply(wanted)
        until(lambda: _is_alone(bench, target, wanted.handle) and fuse.given >= fuse.at, "the cut")
    except PowerCut:
        return


def _is_alone(bench: DockerBench, target: Target, handle: str) -> bool:
    target.observe(handle)
    return len(bench.containers()) == 1 == len(bench.engine.volumes(bench.labels))


def test_services_serve_on_without_a_server_and_are_adopted(routed: DockerBench) -> None:
    assert isinstance(routed.router, EnvoyRouter)
    service = routed.service()
    routed.target.apply(service)
    before = settled(routed.target, service.handle)
    with Traffic(Plan(port=routed.port(service.handle), rate=50, connections=4, seconds=300)) as traffic:
        until(lambda: traffic.answered() > 20, "traffic")
        routed.router = EnvoyRouter(routed.router.folder)
        heir = routed.another_target()
        assert heir.handles() == [service.handle]
        assert heir.observe(service.handle) == before
        assert heir.resume() == [service.handle]
        heir.apply(next_of(service))
        assert settled(heir, service.handle).revision == "r2"
    assert not traffic.record().failed(), traffic.record().explain()


def test_two_servers_on_one_engine_do_not_see_each_other(docker: DockerBench, single: DockerBench) -> None:
    service = docker.service()
    other = DockerBench(docker.folder / "other", docker.gallery, FakeRouter())
    try:
        for bench in (docker, other):
            bench.target.apply(service)
            settled(bench.target, service.handle)
        other.target.forget(service.handle)
        assert other.containers() == []
        assert docker.target.observe(service.handle).state is State.RUNNING
        assert single.target.handles() == []
    finally:
        other.end()


def test_what_is_forgotten_leaves_nothing_and_strangers_of_our_own_are_removed(docker: DockerBench) -> None:
    service = docker.service(secrets={"a": b"hidden"})
    docker.target.apply(service)
    settled(docker.target, service.handle)
    stranger = replace(service, handle="fl-0000000b")
    docker.target.apply(stranger)
    settled(docker.target, stranger.handle)
    (docker.state / stranger.handle / "service.json").unlink()
    assert docker.target.resume() == [service.handle]
    assert docker.containers(handle=stranger.handle) == []
    docker.target.forget(service.handle)
    assert docker.containers() == []
    assert docker.engine.volumes(docker.labels) == []
    assert not (docker.state / service.handle).exists()
    assert docker.target.observe(service.handle).state is State.ABSENT
    docker.target.forget(service.handle)


def test_secrets_are_for_the_container_alone_and_end_with_it(docker: DockerBench) -> None:
    script = "import os\ndef init(): pass\ndef run(data):\n    return open(os.environ['FAIRLEAD_SECRETS_DIR'] + '/a').read() + os.environ['MODE']\n"
    service = docker.service(script, secrets={"a": b"hidden"}, environment={"MODE": "covert"}, auth=Auth(mode="token", token_secret=b"x" * 32, audience="a"))
    open_one = replace(service, auth=Auth())
    docker.target.apply(open_one)
    settled(docker.target, service.handle)
    assert docker.request(service, body={}).json() == "hiddencovert"
    docker.target.apply(replace(service, generation=2))
    settled(docker.target, service.handle)
    (container, *_) = docker.containers(generation="2")
    told = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True).stdout
    assert "hidden" not in told
    assert "covert" not in told
    listed = (
        "import os; print([(oct(os.stat(p).st_mode & 0o777), os.stat(p).st_uid) for p in ('/run/fairlead/live/secrets/a', '/run/fairlead/live/keys.json')])"
    )
    modes = subprocess.run(["docker", "exec", container, "/opt/fairlead/runtime/bin/python", "-c", listed], capture_output=True, text=True, check=True).stdout
    assert modes.strip() == "[('0o400', 10001), ('0o400', 10001)]"
    path = docker.state / service.handle / "service.json"
    assert path.stat().st_mode & 0o777 == 0o600
    docker.target.stop(service.handle)
    settled(docker.target, service.handle)
    assert docker.engine.volumes(docker.labels) == []
    kept = json.loads(path.read_text())
    assert (kept["wanted"]["secrets"], kept["wanted"]["environment"], kept["wanted"]["auth"]["token_secret"]) == ({}, {}, "")


def test_an_engine_that_is_away_is_waited_for_and_then_named(docker: DockerBench, monkeypatch: pytest.MonkeyPatch) -> None:
    service = docker.service()
    away = DockerTarget(docker.state, Engine(find("unix:///no/such/engine.sock")), docker.router, docker.gallery.archive)
    away.apply(service)
    seen = away.observe(service.handle)
    assert (seen.state, "no container engine at /no/such/engine.sock" in seen.message) == (State.STARTING, True)
    docker.target.apply(service)
    assert settled(docker.target, service.handle).state is State.RUNNING
    seen = away.observe(service.handle)
    assert (seen.state, seen.revision, seen.workers_ready) == (State.RUNNING, "r1", 1), "it answers, whatever has become of the engine"
    assert "/no/such/engine.sock" in away.lacks()
    assert docker.target.lacks() == ""
    with pytest.raises(Unavailable):
        list(away.logs(service.handle))
    monkeypatch.setattr(rounds, "ENGINE_WITHIN", 0.0)
    away.apply(next_of(service))
    seen = settled(away, service.handle)
    assert (seen.state, seen.revision, seen.failure and seen.failure.cause) == (State.RUNNING, "r1", "engine-failed")

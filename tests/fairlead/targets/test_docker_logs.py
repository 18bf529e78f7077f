"""One log of several containers: in order, filtered, followed over replicas that come and go, and kept of those that are gone."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from tests.fairlead.targets.contract import next_of, settled
from tests.fairlead.targets.docker_bench import DockerBench
from tests.waiting import until

pytestmark = pytest.mark.engine

SAYS = "def init():\n    print('began')\n\ndef run(data):\n    print('said', data)\n    return 1\n"


def _said(lines: list[str]) -> list[str]:
    return [json.loads(line).get("message", "") for line in lines]


def test_lines_of_all_replicas_come_in_order_and_by_request(routed: DockerBench) -> None:
    service = routed.service(SAYS, replicas=2)
    routed.target.apply(service)
    settled(routed.target, service.handle)
    for number in range(10):
        assert routed.request(service, body=number, headers={"x-request-id": f"asked-{number}"}).status == 200
        until(lambda: f"said {number}" in _said(list(routed.target.logs(service.handle))), "its line")  # noqa: B023 - asked at once
    lines = list(routed.target.logs(service.handle))
    assert [each for each in _said(lines) if each.startswith("said")] == [f"said {number}" for number in range(10)]
    assert _said(lines).count("began") == 2
    assert not [each for each in _said(lines) if each.startswith("Anyone who can reach")], "it is published on loopback"
    of_one = _said(list(routed.target.logs(service.handle, request_id="asked-4")))
    assert [each for each in of_one if each] == ["said 4"]
    assert list(routed.target.logs(service.handle, tail=3)) == lines[-3:]


def test_long_lines_and_lines_of_containers_that_are_gone_stay_whole(docker: DockerBench) -> None:
    service = docker.service("def init(): pass\ndef run(data):\n    print('x' * 50_000)\n    return 1\n")
    docker.target.apply(service)
    settled(docker.target, service.handle)
    docker.request(service, body=1)
    long = "x" * 50_000
    until(lambda: long in _said(list(docker.target.logs(service.handle))), "the long line")
    docker.target.apply(next_of(service))
    settled(docker.target, service.handle)
    until(lambda: docker.target.observe(service.handle) is not None and len(docker.containers()) == 1, "the old one to be gone")
    of_first = [json.loads(line) for line in docker.target.logs(service.handle, tail=1000, revision="r1")]
    assert long in [each.get("message") for each in of_first]
    docker.target.stop(service.handle)
    settled(docker.target, service.handle)
    assert any(json.loads(line).get("revision") == "r2" for line in docker.target.logs(service.handle))


def test_a_follower_hears_of_replicas_that_come_and_ends_with_the_service(docker: DockerBench) -> None:
    service = docker.service(SAYS)
    docker.target.apply(service)
    settled(docker.target, service.handle)
    heard: list[str] = []
    follower = threading.Thread(target=lambda: heard.extend(docker.target.logs(service.handle, tail=1, follow=True)))
    live: list[str] = []
    listener = threading.Thread(target=lambda: live.extend(docker.target.logs(service.handle, tail=0, follow=lambda: len(live) < 3)))
    for thread in (follower, listener):
        thread.start()
    until(lambda: heard, "the follower to have heard the last line")
    docker.request(service, body=1)
    docker.target.apply(replace(service, generation=2, revision="r2"))
    settled(docker.target, service.handle)
    docker.request(service, body=2)
    listener.join(60)
    assert not listener.is_alive()
    docker.target.stop(service.handle)
    settled(docker.target, service.handle)
    follower.join(60)
    assert not follower.is_alive()
    said = _said(heard[1:])
    assert [each for each in said if each.startswith("said")] == ["said 1", "said 2"]
    assert "began" in said, "of the second container"
    assert len(heard) == len(set(heard))

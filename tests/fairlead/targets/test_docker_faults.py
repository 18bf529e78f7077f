"""R5 to R8 in containers, and what else can happen to them while nobody means it."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import replace

import pytest

from fairlead.targets.types import Observation, Resources, Service, State
from tests.fairlead.targets.bench import PLAIN
from tests.fairlead.targets.contract import settled
from tests.fairlead.targets.docker_bench import DockerBench
from tests.traffic import Plan, Traffic
from tests.waiting import until

pytestmark = pytest.mark.engine

MEBI = 1024 * 1024
FAULTS = {
    "init-raised": ("def init():\n    raise ValueError('no such column')\n\ndef run(data): return 1\n", "no such column"),
    "package-missing": ("import no_such_package\ndef init(): pass\ndef run(data): return 1\n", "no_such_package"),
    "killed": ("import os\ndef init():\n    print('hungry')\n    os.kill(os.getpid(), 9)\ndef run(data): return 1\n", "SIGKILL"),
    "sample-failed": ("def init(): pass\ndef run(data): return 1 / 0\n", "answered with 500"),
    "out-of-memory": ("def init():\n    print('hungry')\n    x = bytearray(400_000_000)\n\ndef run(data): return 1\n", "limit of 128 MiB"),
    "disk-full": (
        "def init():\n    with open('/tmp/a', 'wb') as file:\n        for _ in range(80): file.write(b'x' * 1_000_000)\n\ndef run(data): return 1\n",
        "No space left",
    ),
}
POISON = """
import json

def init(): pass

def run(data):
    asked = json.loads(data)
    if asked.get("poison"):
        bytearray(600_000_000)
    return {"tag": asked.get("tag")}
"""


@pytest.mark.parametrize("cause", FAULTS)
def test_a_start_that_fails_says_why_with_a_cause_and_its_last_lines(docker: DockerBench, cause: str) -> None:
    """R8: as the first start, and as an update whose old revision goes on."""
    script, words = FAULTS[cause]
    bad = docker.service(script, sample=b'{"data": 1}', resources=Resources(memory=128 * MEBI))
    docker.target.apply(bad)
    first = settled(docker.target, bad.handle)
    assert first.state is State.FAILED
    _explains(first, cause, words)
    good = replace(bad, generation=2, image=docker.gallery.image(PLAIN.format(version=1)), revision="good")
    docker.target.apply(good)
    assert settled(docker.target, bad.handle).state is State.RUNNING
    docker.target.apply(replace(bad, generation=3))
    later = settled(docker.target, bad.handle)
    assert (later.state, later.revision) == (State.RUNNING, "good")
    _explains(later, cause, words)
    assert docker.request(good, body={"tag": 3}).json() == {"tag": 3, "version": 1}


def _explains(seen: Observation, cause: str, words: str) -> None:
    assert seen.failure is not None
    assert (seen.failure.cause, seen.failure.stage) == (cause, "proving" if cause == "sample-failed" else "starting"), seen.failure
    assert words in seen.failure.message
    if cause in ("killed", "out-of-memory"):
        assert seen.failure.log_lines == ("hungry",)
    if cause == "init-raised":
        assert seen.failure.log_lines[0].startswith("Traceback")


def test_an_image_that_is_none_of_ours_is_named(docker: DockerBench) -> None:
    service = docker.service(image=docker.gallery.foreign())
    docker.target.apply(service)
    failure = settled(docker.target, service.handle).failure
    assert failure is not None
    assert failure.cause == "image-unusable"


def test_a_port_that_is_taken_is_named(routed: DockerBench, single: DockerBench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for bench in (routed, single):
            service = bench.service(port=port)
            bench.target.apply(service)
            seen = settled(bench.target, service.handle)
            assert seen.state is State.FAILED
            assert seen.failure is not None
            assert (seen.failure.cause, str(port) in seen.failure.message) == ("port-taken", True), seen.failure


def test_a_worker_that_is_killed_is_replaced_in_its_container(routed: DockerBench) -> None:
    """R5: the container stays; what is answered while a worker is missing has Retry-After."""
    service = routed.service(workers=2)
    routed.target.apply(service)
    settled(routed.target, service.handle)
    before = routed.containers()
    with Traffic(Plan(port=routed.port(service.handle), rate=50, connections=4, seconds=300)) as traffic:
        for _ in range(3):
            status = routed.request(service, "/status").json()
            _run_in(before[0], f"import os; os.kill({status['workers'][0]['pid']}, 9)")
            until(lambda: routed.request(service, "/status").json()["restarts"] > status["restarts"], "another worker")  # noqa: B023 - asked at once
            until(lambda: routed.target.observe(service.handle).workers_ready == 2, "both to be ready")
    assert all(one.status == 503 and one.retry_after for one in traffic.record().failed()), traffic.record().explain()
    assert routed.containers() == before


def test_a_container_that_hangs_is_replaced_and_its_neighbour_serves_on(routed: DockerBench) -> None:
    """R6: everything in it stands still."""
    service = routed.service(replicas=2)
    routed.target.apply(service)
    settled(routed.target, service.handle)
    hung, well = routed.containers()
    subprocess.run(["docker", "pause", hung], check=True, capture_output=True)
    until(lambda: "did not answer twice" in _seen(routed, service).message, "it to be found")
    until(lambda: _seen(routed, service).workers_ready == 2, "another in its place")
    until(lambda: hung not in routed.containers(), "the one that hangs to be gone")
    assert well in routed.containers()
    with Traffic(Plan(port=routed.port(service.handle), rate=50, connections=4, requests=50)) as traffic:
        record = traffic.wait()
    assert not record.failed(), record.explain()
    assert any("did not answer twice" in line for line in routed.target.logs(service.handle))


def test_containers_that_are_removed_or_killed_by_hand_are_replaced(routed: DockerBench) -> None:
    service = routed.service(replicas=2)
    routed.target.apply(service)
    settled(routed.target, service.handle)
    for command in (["rm", "--force"], ["kill"]):
        gone = routed.containers()[0]
        subprocess.run(["docker", *command, gone], check=True, capture_output=True)
        until(lambda: _seen(routed, service).workers_ready == 1, "it to be missed")
        until(lambda: _seen(routed, service).workers_ready == 2, "another in its place")
        _seen(routed, service)
        until(lambda: gone not in routed.containers(), "the old one to be gone")  # noqa: B023 - asked at once
        assert _seen(routed, service).state is State.RUNNING
    assert routed.request(service, body={"tag": 1}).status == 200


def test_a_service_that_ends_by_itself_is_started_again_by_the_engine(routed: DockerBench) -> None:
    """Also while no server looks: the same container, at the same port."""
    service = routed.service()
    routed.target.apply(service)
    settled(routed.target, service.handle)
    (container,) = routed.containers()
    _run_in(container, "import os; os.kill(1, 15)")
    until(lambda: routed.request(service, body={"tag": 1}).status != 200, "it to end")
    until(lambda: routed.request(service, body={"tag": 1}).status == 200, "it to answer again")
    assert routed.containers() == [container]


def test_an_input_that_takes_all_memory_fails_alone(routed: DockerBench) -> None:
    """R7: by the limit of the container; its worker is replaced, and the next requests are answered."""
    service = routed.service(POISON, workers=2, resources=Resources(memory=256 * MEBI))
    routed.target.apply(service)
    settled(routed.target, service.handle)
    for _ in range(2):
        assert routed.request(service, body={"poison": True}).status in (500, 502, 503)
        until(lambda: routed.request(service, body={"tag": 3}).status == 200, "it to answer again")
    until(lambda: _seen(routed, service).workers_ready == 2, "both workers")
    assert _seen(routed, service).state is State.RUNNING


def test_replacements_that_fail_come_ever_later(docker: DockerBench) -> None:
    """No crash loop: what it needs is gone, so each new container fails."""
    script = "import os\ndef init():\n    open(os.environ['FAIRLEAD_SECRETS_DIR'] + '/a').read()\n\ndef run(data): return 1\n"
    service = docker.service(script, secrets={"a": b"1"})
    docker.target.apply(service)
    settled(docker.target, service.handle)
    path = docker.state / service.handle / "service.json"
    kept = json.loads(path.read_text())
    kept["serving"]["secrets"] = {"other": ""}
    path.write_text(json.dumps(kept))
    subprocess.run(["docker", "rm", "--force", *docker.containers()], check=True, capture_output=True)

    def tries() -> list[float]:
        docker.target.observe(service.handle)
        troubles: list[float] = json.loads(path.read_text())["troubles"]
        return troubles if len(troubles) > 3 else []

    troubles = until(tries, "some tries", timeout=120)
    assert troubles[3] - troubles[2] > 1.9
    seen = _seen(docker, service)
    assert seen.state is State.UNHEALTHY
    assert "No such file" in seen.message


def test_replicas_that_go_together_are_all_replaced_at_once(docker: DockerBench) -> None:
    """Waiting is for a service that fails again and again, not for the second of three that somebody removed."""
    service = docker.service(replicas=3)
    docker.target.apply(service)
    settled(docker.target, service.handle)
    for gone in docker.containers():
        subprocess.run(["docker", "rm", "--force", gone], check=True, capture_output=True)
        _seen(docker, service)
        assert len(docker.containers()) == 3


def _seen(bench: DockerBench, service: Service) -> Observation:
    return bench.target.observe(service.handle)


def _run_in(container: str, code: str) -> None:
    subprocess.run(["docker", "exec", container, "/opt/fairlead/runtime/bin/python", "-c", code], check=True, capture_output=True)

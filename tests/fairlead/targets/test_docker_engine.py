"""The engine: found, asked over a socket, TLS or SSH, given images it lacks; its silence and its errors in one sentence each."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
import subprocess
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from fairlead.errors import BootFailure, Conflict, FairleadError, NotFound, Unavailable, UsageError
from fairlead.images.archive import chain_ids
from fairlead.targets.docker import DockerTarget, Engine, faults, find
from fairlead.targets.docker.address import Address
from fairlead.targets.docker.blueprint import Blueprint
from fairlead.targets.docker.ssh import Bridge, ssh_command
from fairlead.targets.types import Image, Observation, Resources, State
from fairlead.testing.routers import FakeRouter
from tests.fairlead.targets.contract import settled
from tests.fairlead.targets.docker_bench import DockerBench, Gallery
from tests.waiting import until

pytestmark = pytest.mark.engine

ADDRESSES = [
    ("ssh://a@b:22", {}, Address(url="ssh://a@b:22")),
    ("", {"DOCKER_HOST": "unix:///x/y.sock"}, Address(url="unix:///x/y.sock")),
    ("tcp://h:2375", {"DOCKER_HOST": "unix:///x/y.sock"}, Address(url="tcp://h:2375")),
    ("", {"DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "HOME": "/home/a"}, Address(url="tcp://h:2376", certificates=Path("/home/a/.docker"))),
    ("", {"DOCKER_HOST": "tcp://h:2376", "DOCKER_CERT_PATH": "/c"}, Address(url="tcp://h:2376", certificates=Path("/c"), verifies=False)),
]


@pytest.mark.parametrize(("told", "environment", "found"), ADDRESSES)
def test_the_engine_is_where_it_was_said_to_be(told: str, environment: dict[str, str], found: Address) -> None:
    assert find(told, environment) == found


def test_the_context_of_the_docker_client_counts_where_nothing_else_is_said(tmp_path: Path) -> None:
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"far").hexdigest()
    meta.mkdir(parents=True)
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    with pytest.raises(UsageError, match="names no engine"):
        find("", {"DOCKER_CONFIG": str(tmp_path)})
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "ssh://far"}}}))
    assert find("", {"DOCKER_CONFIG": str(tmp_path)}) == Address(url="ssh://far")
    assert find("", {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": "tcp://near:1"}).url == "tcp://near:1"
    assert find("", {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": "tcp://near:1", "DOCKER_CONTEXT": "far"}).url == "ssh://far"


@pytest.mark.parametrize("told", ["docker.sock", "ftp://a", "unix://"])
def test_an_address_that_is_none_is_refused(told: str) -> None:
    with pytest.raises(UsageError, match="is no address of a container engine"):
        find(told, {})


ANSWERS: list[tuple[int, str, type[FairleadError], str, str]] = [
    (409, 'Conflict. The container name "/a" is already in use by container "b"', faults.NameTaken, "", "the name is taken"),
    (409, "removal of container a is already in progress", Conflict, "", "now"),
    (404, "No such image: sha256:1", NotFound, "", "it is not there"),
    (500, "write /var/lib/docker/tmp/x: no space left on device", BootFailure, "disk-full", "its disk is full"),
    (500, "driver failed: Bind for 127.0.0.1:80 failed: port is already allocated", BootFailure, "port-taken", "another process has the port"),
    (500, 'could not select device driver "" with capabilities: [[gpu]]', BootFailure, "engine-failed", "no GPU"),
    (400, 'exec: "/opt/x": stat /opt/x: no such file or directory: unknown', BootFailure, "image-unusable", "none of Fairlead's"),
    (403, "authorization denied by plugin", Unavailable, "engine-failed", "refuses this user"),
    (500, "something else.", BootFailure, "engine-failed", "could not start a container: something else."),
]


@pytest.mark.parametrize(("status", "said", "kind", "cause", "words"), ANSWERS)
def test_what_an_engine_answers_becomes_a_sentence(status: int, said: str, kind: type[FairleadError], cause: str, words: str) -> None:
    error = faults.of_answer("unix:///x", "start a container", status, said)
    assert type(error) is kind
    assert error.facts.get("cause", "") == cause
    assert words in str(error)


def test_no_rights_and_no_engine_are_named_with_the_cure() -> None:
    assert "may not use the container engine's socket /x" in str(faults.unreachable("unix:///x", PermissionError(13, "Permission denied")))
    assert "start Docker or Podman" in str(faults.unreachable("unix:///x", FileNotFoundError(2, "No such file")))
    assert "(Connection refused)" in str(faults.unreachable("tcp://h:1", ConnectionRefusedError(111, "Connection refused")))
    assert "does not answer in time" in str(faults.unreachable("tcp://h:1", TimeoutError("timed out")))


def test_limits_are_the_containers(docker: DockerBench) -> None:
    service = docker.service(resources=Resources(cpu=0.5, memory=256 * 1024 * 1024), limits={"deadline": 7.0})
    docker.target.apply(service)
    assert settled(docker.target, service.handle).state is State.RUNNING
    (container,) = docker.containers()
    told = json.loads(subprocess.run(["docker", "inspect", container], capture_output=True, check=True).stdout)[0]
    host = told["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (256 * 1024 * 1024, 256 * 1024 * 1024, 500_000_000)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert (host["RestartPolicy"]["Name"], host["PidsLimit"], told["Config"]["User"]) == ("unless-stopped", 4096, "10001:10001")
    assert (host["LogConfig"]["Type"], set(host["LogConfig"]["Config"])) == ("json-file", {"max-size", "max-file"})
    assert [each["HostIp"] for each in host["PortBindings"]["5001/tcp"]] == ["127.0.0.1"]
    assert told["Config"]["StopTimeout"] == 12


def test_the_command_that_is_logged_makes_the_same_container(docker: DockerBench, caplog: pytest.LogCaptureFixture) -> None:
    service = docker.service(resources=Resources(cpu=0.5, memory=256 * 1024 * 1024), secrets={"a": b"hidden"})
    with caplog.at_level(logging.DEBUG, "fairlead.targets.docker"):
        docker.target.apply(service)
        settled(docker.target, service.handle)
    assert "hidden" not in caplog.text
    command = next(shlex.split(line) for line in caplog.messages if line.startswith("docker create"))
    command = [each.replace(f"--name={service.handle}", f"--name=again-{service.handle}").replace("=127.0.0.1:3", "=127.0.0.1:4") for each in command]
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    told = [json.loads(subprocess.run(["docker", "inspect", each], capture_output=True, check=True).stdout)[0] for each in (docker.containers()[0], again)]
    for part, names in (
        ("Config", ("Cmd", "Entrypoint", "User", "Labels", "StopTimeout")),
        ("HostConfig", ("Memory", "NanoCpus", "Binds", "Tmpfs", "CapDrop")),
    ):
        assert {name: told[0][part][name] for name in names} == {name: told[1][part][name] for name in names}


def test_gpus_are_asked_for() -> None:
    blueprint = Blueprint(name="a", image="b", labels={}, volume="c", published=("127.0.0.1", 1), grace=5, gpu=2)
    assert blueprint.config()["HostConfig"]["DeviceRequests"][0]["Count"] == 2
    assert "--gpus=2" in blueprint.command()


def test_an_image_that_the_engine_lacks_is_loaded_without_layers_that_it_has(docker: DockerBench) -> None:
    asked: list[Collection[str]] = []
    service = docker.service("def init(): pass\ndef run(data): return 'loaded'\n")
    neighbour = docker.service()
    assert service.image is not None
    assert neighbour.image is not None
    shared = set(chain_ids(docker.gallery.layers(service.image))) & set(chain_ids(docker.gallery.layers(neighbour.image)))

    def archive(image: Image, leave_out: Collection[str]) -> Iterator[bytes]:
        asked.append(leave_out)
        return docker.gallery.archive(image, leave_out)

    target = DockerTarget(docker.state, docker.engine, docker.router, archive)
    target.apply(neighbour)
    settled(target, service.handle)
    _remove(docker, service.image)
    asked.clear()
    target.apply(docker.service(generation=2, revision="r2", image=service.image))
    seen: list[Observation] = []

    def is_running() -> bool:
        seen.append(target.observe(service.handle))
        return seen[-1].state is State.RUNNING

    until(is_running, "the update", timeout=60)
    assert any("is loading the image fairlead-test/" in each.message for each in seen), [each.message for each in seen]
    assert any(each.message.endswith(" %.") for each in seen), [each.message for each in seen]
    (left_out,) = asked
    assert shared <= set(left_out)
    assert docker.request(service, body={}).json() == "loaded"


def test_an_engine_that_wants_all_layers_gets_them(docker: DockerBench) -> None:
    service = docker.service(f"def init(): pass\ndef run(data): return '{uuid.uuid4()}'\n")  # no engine can have its layers from an earlier run
    assert service.image is not None
    layers = docker.gallery.layers(service.image)
    asked: list[int] = []

    def archive(image: Image, leave_out: Collection[str]) -> Iterator[bytes]:
        """As if the last layer lay upon others there."""
        asked.append(len(leave_out))
        return docker.gallery.archive(image, {*leave_out, chain_ids(layers)[-1]} if leave_out else ())

    target = DockerTarget(docker.state, docker.engine, docker.router, archive)
    _remove(docker, service.image)
    target.apply(docker.service(generation=1))
    settled(target, service.handle)
    asked.clear()
    target.apply(docker.service(generation=2, image=service.image))
    assert settled(target, service.handle).failure is None
    assert 0 in asked, asked


def test_an_image_that_cannot_be_had_is_a_failure(docker: DockerBench) -> None:
    lost = Image(digest="1" * 64, id="2" * 64, name="team/lost:1")
    docker.target.apply(docker.service(image=lost))
    seen = settled(docker.target, "fl-0000000a")
    assert seen.state is State.FAILED
    assert seen.failure is not None
    assert "1111" in seen.failure.message


def test_an_engine_behind_ssh_is_reached_through_the_ssh_client(gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's stand-in runs the command that it is given for the other machine."""
    client = tmp_path / "bin" / "ssh"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec "$@"\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    bench = DockerBench(tmp_path, gallery, None)
    bench.engine = Engine(find("ssh://ops@far.example:2222"))
    bench.target = bench.another_target()
    try:
        service = bench.service()
        bench.target.apply(service)
        seen = settled(bench.target, service.handle)
        assert (seen.state, seen.workers_ready) == (State.RUNNING, 1), seen
        assert list(bench.target.logs(service.handle, tail=1))
        bench.target.stop(service.handle)
        assert settled(bench.target, service.handle).state is State.STOPPED
    finally:
        bench.end()
    assert (tmp_path / "asked").read_text().splitlines()[0] == "-o BatchMode=yes -o ConnectTimeout=10 -T -l ops -p 2222 -- far.example docker system dial-stdio"


def test_what_ssh_says_is_what_the_engine_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "ssh"
    client.write_text("#!/bin/sh\necho 'ops@far.example: Permission denied (publickey).' >&2\nexit 255\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Unavailable, match=r"ssh://far.example cannot be reached \(ops@far.example: Permission denied"):
        Engine(find("ssh://far.example")).check()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="needs the ssh client"):
        Bridge("ssh://far.example")


@pytest.mark.parametrize("url", ["ssh://", "ssh://-oProxyCommand=evil", "ssh://-l@host"])
def test_an_ssh_address_is_no_flag(url: str) -> None:
    with pytest.raises(UsageError, match="names no host"):
        ssh_command(url)


def _remove(docker: DockerBench, image: Image) -> None:
    subprocess.run(["docker", "image", "rm", "--force", f"sha256:{image.id}"], capture_output=True)
    assert docker.engine.find_image(image) is None
    assert isinstance(docker.router, FakeRouter)

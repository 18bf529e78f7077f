"""Docker's engine as these tests use it: loading, running read-only, and leaving nothing behind."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from fairlead.images.archive import docker_archive
from fairlead.images.types import Blobs, PlatformImage
from tests.waiting import until

SCRATCH = "/tmp"  # noqa: S108 - of the container


@dataclass(frozen=True, kw_only=True)
class Container:
    """A running one. `url`: of its service."""

    id: str
    url: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", "exec", self.id, *command], capture_output=True, text=True)

    def state(self) -> Any:
        return json.loads(docker("inspect", self.id))[0]["State"]

    def log(self) -> str:
        done = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True)
        return done.stdout + done.stderr


def load(blobs: Blobs, image: PlatformImage, name: str, leave_out: Collection[str] = ()) -> str:
    """Loads the image and answers its id at the engine."""
    process = subprocess.Popen(["docker", "load", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    with process:
        try:
            for chunk in docker_archive(blobs, image.manifest.digest, name, leave_out):
                process.stdin.write(chunk)
        except BrokenPipeError:
            pass  # it says why
        process.stdin.close()
        assert process.stdout is not None
        said = process.stdout.read().decode()
    assert process.returncode == 0, said
    return str(json.loads(docker("inspect", name))[0]["Id"])


@contextmanager
def running(name: str, mark: str, *, variables: Mapping[str, str] = {}) -> Iterator[Container]:
    """Read-only but for /tmp; ready when this begins, gone when it ends."""
    options = ["--read-only", "--tmpfs", SCRATCH, "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--publish", "127.0.0.1::5001"]
    options += [part for key, value in variables.items() for part in ("--env", f"{key}={value}")]
    identity = docker("run", "--detach", "--label", mark, *options, name).strip()
    try:
        port = docker("port", identity, "5001/tcp").strip().rpartition(":")[2]
        container = Container(id=identity, url=f"http://127.0.0.1:{port}")
        until(lambda: _answers(container), f"{name} to be ready", timeout=150)
        yield container
    finally:
        docker("rm", "--force", "--volumes", identity)


def clear_engine(mark: str) -> None:
    """`mark`: a label of containers, and the name of images."""
    containers = docker("ps", "--all", "--quiet", "--filter", f"label={mark}").split()
    if containers:
        docker("rm", "--force", "--volumes", *containers)
    images = set(docker("images", "--quiet", "--filter", f"label={mark}").split())
    if images:
        docker("rmi", "--force", *images)


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def _answers(container: Container) -> bool:
    assert container.state()["Running"], container.log()
    try:
        return httpx2.get(f"{container.url}/readyz", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False

"""`fairlead service doctor` of services in containers, on a real engine: the same steps, and an image first."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers import require_base, require_engine
from tests.control_plane import ControlPlane, ControlPlanes
from tests.deploying import ECHO, Shell
from tests.fairlead.doctoring import STEPS, Sick
from tests.waiting import until

pytestmark = pytest.mark.engine

HUNGRY = "def init():\n    global held\n    held = bytearray(1 << 30)\n    held[::4096] = b'x' * (1 << 18)\n\n\ndef run(data):\n    return 1\n"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A server whose services run in containers upon the base of the tests."""
    require_engine()
    started = ControlPlanes(tmp_path_factory.mktemp("plane"))
    try:
        yield started(env={"FAIRLEAD_IMAGE_BASE": str(require_base())})
    finally:
        started.end()


@pytest.fixture
def sick(plane: ControlPlane, tmp_path: Path) -> Iterator[Sick]:
    made = Sick(Shell(plane, "default", tmp_path))
    yield made
    if made.shell("service", "show", "sick").code == 0:
        made.shell.ok("service", "delete", "sick")
        until(lambda: made.shell("service", "show", "sick").code == 2, "the service to be gone", timeout=150)
    for line in made.shell.ok("image", "list", "-q").split():
        subprocess.run(["docker", "rmi", f"fairlead/default/{line}"], capture_output=True)


@pytest.mark.parametrize("target", ["docker", "container"])
def test_a_service_in_containers_that_is_well(sick: Sick, target: str) -> None:
    done = sick.deploy(ECHO, "--target", target)
    assert done.code == 0, done.err
    told = sick.doctor()
    assert (told.code, told.first, told.steps) == (0, None, STEPS)
    assert "image sick:1, sha256:" in sick.shell("service", "doctor", "sick").out


def test_init_that_raises_in_a_container(sick: Sick) -> None:
    sick.deploy("def init():\n    print('I try'); raise RuntimeError('no licence')\ndef run(data): return 1\n", "--target", "container")
    told = sick.doctor()
    assert (told.code, told.first, told.check["cause"]) == (3, "model load", "init-raised")
    assert "I try" in "\n".join(told.check["log_lines"])


def test_a_container_that_runs_out_of_memory(sick: Sick) -> None:
    sick.deploy(HUNGRY, "--target", "container", "--set", "containerResourceRequirements.memoryInGB=0.2")
    told = sick.doctor()
    assert (told.code, told.first, told.check["cause"]) == (3, "start", "out-of-memory")
    assert "memoryInGB" in told.check["cure"]


def test_containers_removed_by_hand_come_back_or_are_missed(sick: Sick) -> None:
    assert sick.deploy(ECHO, "--target", "container").code == 0
    handle = sick.show()["handle"]
    found = subprocess.run(["docker", "ps", "-q", "--filter", f"label=ai.fairlead.handle={handle}"], capture_output=True, text=True, check=True).stdout.split()
    assert found
    subprocess.run(["docker", "rm", "--force", *found], check=True, capture_output=True)
    until(lambda: sick.doctor().code == 0, "the service to be well again", timeout=150)

"""D1: the control plane is killed at every point at which it writes. What it had acknowledged is there, nothing is there by half, it is back in 5 seconds."""

from __future__ import annotations

import importlib
import os
import pkgutil
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import fairlead.server
from fairlead.client import watching
from fairlead.sdk import uploads
from fairlead.server import faults
from fairlead.server.maintenance.archive import Reader
from tests.control_plane import ControlPlanes
from tests.faults.control_plane.serving import WITH_FAKE_DRIVER
from tests.faults.control_plane.world import RESTART_WITHIN, World
from tests.faults.control_plane.writes import ACCOUNTS, REGISTRY, SCENARIOS
from tests.local_home import LocalHome

KILLS = 2000
ANYWHERE = ("database.before-commit", "database.after-commit")
NOT_BY_A_CLIENT = {
    "schema.step-done": "tests/fairlead/server/test_schema.py",
    "schema.before-commit": "tests/fairlead/server/test_schema.py",
    "schema.after-commit": "tests/fairlead/server/test_schema.py",
    "maintenance.restore.before-commit": "test_a_killed_restore_leaves_the_database_as_it_was",
    "maintenance.gc.released": "test_a_killed_sweep_loses_nothing",
}


def every_point() -> dict[str, str]:
    for module in pkgutil.walk_packages(fairlead.server.__path__, "fairlead.server."):
        if not module.name.endswith("__main__") and ".migrations.versions" not in module.name:
            importlib.import_module(module.name)
    return faults.POINTS


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("killed")
    planes = ControlPlanes(folder / "planes", WITH_FAKE_DRIVER)
    (folder / "planes").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(watching, "PATIENCE", 0.0)  # nobody starts the killed server while a client waits for it
        patched.setattr(uploads, "_PAUSES", (0.1,))
        try:
            yield World(planes, folder)
        finally:
            planes.end()


@pytest.fixture(scope="module")
def reached(world: World) -> dict[str, Counter[str]]:
    """Scenario → the points it passes, and how often: found by doing each once."""
    return {name: world.reached_by(writes) for name, writes in SCENARIOS.items()}


def test_every_point_is_reached_by_a_write(reached: dict[str, Counter[str]]) -> None:
    passed = {point for counts in reached.values() for point in counts}
    never = sorted(every_point().keys() - passed - NOT_BY_A_CLIENT.keys())
    assert not never, f"No write of tests/faults/control_plane/writes.py reaches {never}; add one."


@pytest.mark.parametrize("point", sorted(every_point().keys() - NOT_BY_A_CLIENT.keys()))
def test_a_kill_at_each_point_loses_nothing(world: World, reached: dict[str, Counter[str]], point: str) -> None:
    scenario = min((name for name, counts in reached.items() if counts[point]), key=lambda name: list(SCENARIOS).index(name))
    world.killed_at(point, 1, SCENARIOS[scenario])
    assert max(world.restarts) < RESTART_WITHIN


@pytest.mark.parametrize("point", ANYWHERE)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_commit_loses_nothing(world: World, reached: dict[str, Counter[str]], scenario: str, point: str) -> None:
    """One of them, another each time; the number is in the message of a failure."""
    world.killed_at(point, random.randint(1, max(1, reached[scenario][point] // 2)), SCENARIOS[scenario])


@pytest.mark.long
def test_thousands_of_kills_lose_nothing(world: World, reached: dict[str, Counter[str]], capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for number in range(KILLS):
        scenario = dice.choice(sorted(SCENARIOS))
        point = dice.choice(sorted(reached[scenario]))
        count = dice.randint(1, max(1, reached[scenario][point] // 2))
        with capsys.disabled():
            print(f"kill {number} (seed {seed}): {scenario} at {point}:{count}")
        world.killed_at(point, count, SCENARIOS[scenario])
    assert max(world.restarts) < RESTART_WITHIN


def test_a_killed_restore_leaves_the_database_as_it_was(world: World, local_home: LocalHome, tmp_path: Path) -> None:
    world.run(REGISTRY)
    backup, phrase = tmp_path / "backup.tar", tmp_path / "phrase"
    phrase.write_text("a phrase that nobody guesses")
    with_key = ("--passphrase-file", phrase)
    made = local_home.fairlead("server", "backup", backup, "--with-key", *with_key, env={"FAIRLEAD_HOME": str(world.plane.home)})
    assert made.returncode == 0, made.stderr
    with backup.open("rb") as stream:
        assert Reader(stream, "backup").check().rows["models"] >= 1
    killed = local_home.fairlead("server", "restore", backup, *with_key, env={"FAIRLEAD_FAULT": "maintenance.restore.before-commit"})
    assert killed.returncode != 0
    assert local_home.fairlead("server", "status", "--json").returncode == 6
    again = local_home.fairlead("server", "restore", backup, "--force", *with_key)
    assert again.returncode == 0, again.stderr
    checked = local_home.fairlead("server", "fsck", "--deep")
    assert checked.returncode == 0, checked.stdout


def test_a_killed_sweep_loses_nothing(world: World, local_home: LocalHome) -> None:
    """Contents are let go by mistake of nobody: what a version needs stays, before and after."""
    world.run((*ACCOUNTS, *REGISTRY))
    env = {"FAIRLEAD_HOME": str(world.plane.home), "FAIRLEAD_KEEP_CONTENTS_DAYS": "0"}
    with world.owner() as owner:
        owner.request("DELETE", owner.path("models", world.name("churn"), "aliases", "champion"))
        owner.request("DELETE", owner.path("models", world.name("churn")))
    killed = local_home.fairlead("server", "gc", env=env | {"FAIRLEAD_FAULT": "maintenance.gc.released"})
    assert killed.returncode != 0
    assert world.fsck() == []
    done = local_home.fairlead("server", "gc", env=env)
    assert done.returncode == 0, done.stderr
    assert world.fsck() == []


def test_a_server_that_is_killed_while_it_starts_starts_the_next_time(local_home: LocalHome) -> None:
    """Kills without a point: at random moments of a first start."""
    for _ in range(3):
        begun = local_home.begin(sys.executable, "-m", "fairlead.server", "--local")
        try:
            begun.communicate(timeout=random.uniform(0.3, 3.0))
        except subprocess.TimeoutExpired:
            os.kill(begun.pid, signal.SIGKILL)
            begun.communicate()
    started = local_home.fairlead("server", "start", "--json")
    assert started.returncode == 0, started.stderr
    assert local_home.fairlead("server", "fsck", "--deep").returncode == 0

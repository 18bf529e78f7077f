"""Fixtures of the front's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import Launcher, Service
from tests.scoring.front.wire import Wire


@pytest.fixture
def hold() -> Iterator[Callable[[Wire], Wire]]:
    """`hold(wire(...))`: ended with the test, which must have given back every byte that was counted as held."""
    held: list[Wire] = []

    def keep(one: Wire) -> Wire:
        held.append(one)
        return one

    yield keep
    for one in held:
        one.close()
        assert one.front.buffered == 0


BEHAVING = """
import json, os, time

def init():
    pass

def run(data):
    try:
        asked = json.loads(data[:100]) if len(data) < 100 else {}
    except ValueError:
        asked = {}
    what = asked.get("do")
    if what == "stream":
        return stream(asked)
    if what == "large":
        return "x" * asked["size"]
    if what == "die":
        os._exit(9)
    if what == "sleep":
        time.sleep(asked["seconds"])
    if what == "child":
        return os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")
    if what == "descriptors":
        return len(os.listdir("/proc/self/fd"))
    print("scoring", len(data))
    return {"size": len(data), "tag": asked.get("tag")}

def stream(asked):
    try:
        for number in range(asked["chunks"]):
            if number == asked.get("fail_at"):
                raise ValueError("half-way")
            yield "%08d" % number * (asked.get("size", 8) // 8)
    finally:
        with open("ended", "a") as file:
            file.write("ended ")
"""


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Services that all tests of a module share."""
    launcher = Launcher(tmp_path_factory.mktemp("services"))
    yield launcher
    launcher.end()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app root with BEHAVING as its score.py."""
    made = tmp_path_factory.mktemp("app")
    (made / "score.py").write_text(BEHAVING)
    return made


@pytest.fixture(scope="module")
def service(launch: Launcher, folder: Path) -> Service:
    return launch("--entry-script", folder / "score.py", "--app-root", folder, "--max-body", str(32 << 20))

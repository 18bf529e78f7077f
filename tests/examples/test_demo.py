"""The first thing a newcomer runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import FAIRLEAD, MARK, kill_left


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A newcomer's: no server, no state."""
    mark = uuid.uuid4().hex
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
    try:
        yield inherited | {"FAIRLEAD_HOME": str(tmp_path / "home"), MARK: mark}
    finally:
        kill_left(mark, tmp_path)


def test_demo_ends_with_a_deployed_service(repository: Path, environment: dict[str, str]) -> None:
    def run(*command: str | Path) -> str:
        done = subprocess.run([str(word) for word in command], cwd=repository, capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    shown = run(sys.executable, "examples/demo/demo.py")
    assert re.search(r"171 held-out rows in 173 requests over HTTP, .* equal the model's own", shown)
    assert run(FAIRLEAD, "service", "run", "demo", "-d", "@examples/demo/out/rows.json").strip()
    for command in ("update", "rollback", "logs", "delete"):
        assert f"service {command} demo" in shown
    again = run(sys.executable, "examples/demo/demo.py")
    assert "demo:2" in again
    run(sys.executable, "examples/demo/demo.py", "--clean")

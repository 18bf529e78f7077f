"""The first thing a newcomer runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.waiting import until


def test_demo_scores_and_ends(repository: Path) -> None:
    done = subprocess.run([sys.executable, "examples/demo/demo.py"], cwd=repository, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    assert re.search(r"171 held-out rows in 173 requests over HTTP, .* equal the model's own", done.stdout)
    assert re.search(r"curl http://127\.0\.0\.1:\d+/score -H 'Content-Type: application/json' -d @examples/demo/out/rows\.json", done.stdout)


def test_demo_keeps_the_service_until_interrupted(repository: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown.txt"
    with shown.open("w") as sink:
        demo = subprocess.Popen([sys.executable, "examples/demo/demo.py", "--keep"], cwd=repository, stdout=sink, stderr=sink, env=environment())
    try:
        until(lambda: demo.poll() is not None or "Ctrl-C ends it" in shown.read_text(), "the demo to serve", timeout=120)
        curl = re.search(r"http://127\.0\.0\.1:\d+", shown.read_text())
        assert curl, shown.read_text()
        assert demo.poll() is None, shown.read_text()
    finally:
        demo.send_signal(2)
        assert demo.wait(60) == 0, shown.read_text()


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}

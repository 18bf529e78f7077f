"""Log lines: whole, each once, whoever writes them."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fairlead_scoring.lines import LineWriter


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_lines_of_many_threads_are_written_once_each(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as sink:
        lines = LineWriter(sink.fileno())

        def write(writer: int) -> None:
            for number in range(5000):
                lines.say("info", "script", f"{writer}-{number}")

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [json.loads(line)["message"] for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(found) == sorted(f"{writer}-{number}" for writer in range(8) for number in range(5000))

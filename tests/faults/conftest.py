"""`subject(script)`: a script that is served by `python -m fairlead_scoring serve`, to be harmed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.subject import Subjects
from tests.live import Launcher


@pytest.fixture
def subject(serve: Launcher, tmp_path: Path) -> Iterator[Subjects]:
    subjects = Subjects(serve, tmp_path)
    yield subjects
    for one in subjects.started:
        one.end()

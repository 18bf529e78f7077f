"""Examples are followed as a reader would: a copy of the folder, the commands of its README, over real HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import Launcher
from tests.readme import Reader

Follow = Callable[[str], Reader]


@pytest.fixture
def follow(serve: Launcher, repository: Path, tmp_path: Path) -> Iterator[Follow]:
    """`follow("streaming")` runs every command of examples/streaming/README.md in a copy of that folder."""

    readers: list[Reader] = []

    def copy_and_follow(name: str) -> Reader:
        folder = tmp_path / name
        shutil.copytree(repository / "examples" / name, folder, ignore=shutil.ignore_patterns("out", "__pycache__"))
        readers.append(Reader(folder / "README.md", folder, serve))
        return readers[-1].follow()

    yield copy_and_follow
    for reader in readers:
        reader.end()

"""Examples are followed as a reader would: a copy of the folder, the commands of its README, over real HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploying import deploying_plane, ws
from tests.docs.reader import Reader
from tests.local_home import share_environments

__all__ = ["deploying_plane", "follow", "ws"]
Follow = Callable[[str], Reader]


@pytest.fixture
def follow(repository: Path, tmp_path: Path, environments: Path) -> Iterator[Follow]:
    """`follow("streaming")` runs every command of examples/streaming/README.md in a copy of that folder."""
    share_environments(tmp_path / "home", environments)
    with ExitStack() as readers:

        def copy_and_follow(name: str) -> Reader:
            reader = Reader(tmp_path, repository / "docs")
            readers.callback(reader.close)
            left_out = shutil.ignore_patterns("out", "__pycache__")
            shutil.copytree(repository / "examples" / name, reader.folder, ignore=left_out, dirs_exist_ok=True)
            reader.follow(reader.folder / "README.md")
            return reader

        yield copy_and_follow

"""A server without processes for rules, real ones for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.schemas.services import Code
from fairlead.testing.targets import FakeTarget
from tests.fairlead.server.services.desk import Desk, upload_script


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles and environments, built once for all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture
def desk(database_url: str, tmp_path: Path, target: FakeTarget, shared_cache: Path) -> Iterator[Desk]:
    """On SQLite and on PostgreSQL."""
    started = Desk(tmp_path / "desk", database_url, target, cache=shared_cache).start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def code(desk: Desk, tmp_path: Path) -> Code:
    return upload_script(desk.owner, tmp_path / "code")

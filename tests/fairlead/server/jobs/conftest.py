"""A server in the test's process whose jobs are driven by a fake: rules are tried without packages and scoring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.client.transport import Transport
from fairlead.schemas.services import Code
from fairlead.server.jobs import driver, requirements
from fairlead.testing.targets import FakeTarget
from tests.fairlead.server.services.desk import Desk, upload_script

FAKE = Path(__file__).with_name("fake_driver.py")
REAL, NEEDED = driver.RUNTIME, requirements.needed


@pytest.fixture(scope="session")
def cache_of_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles and environments, built once for all tests here."""
    return tmp_path_factory.mktemp("cache-of-jobs")


@pytest.fixture(scope="session")
def fake_driver() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "RUNTIME", FAKE)
        patch.setattr(requirements, "needed", lambda *_: ())
        yield


@pytest.fixture(scope="module")
def real_driver() -> Iterator[None]:
    """Whatever the tests before it in this process have put there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "RUNTIME", REAL)
        patch.setattr(requirements, "needed", NEEDED)
        yield


@pytest.fixture
def desk(database_url: str, tmp_path: Path, cache_of_jobs: Path, fake_driver: None) -> Iterator[Desk]:
    """One of the test's own, on SQLite and on PostgreSQL."""
    started = Desk(tmp_path / "desk", database_url, FakeTarget(), cache=cache_of_jobs, local=True).start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def desk_of_all(tmp_path_factory: pytest.TempPathFactory, cache_of_jobs: Path, fake_driver: None) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk-of-jobs")
    started = Desk(folder / "desk", f"sqlite:///{folder}/fairlead.db", FakeTarget(), cache=cache_of_jobs, local=True, batch_jobs=4).start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def owner(desk_of_all: Desk) -> Transport:
    """Of a server that all tests here share, on SQLite: names are the test's own."""
    return desk_of_all.owner


@pytest.fixture(scope="session")
def code(desk_of_all: Desk, tmp_path_factory: pytest.TempPathFactory) -> Code:
    return upload_script(desk_of_all.owner, tmp_path_factory.mktemp("code-of-jobs") / "code")

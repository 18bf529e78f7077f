"""Fixtures and rules for all tests: live services, what a test needs, long runs by a flag, no skip in CI."""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer

from fairlead.client.transport import Transport
from fairlead.schemas.access import NewWorkspace, Workspace
from tests.containers import BASE_OF_IMAGES
from tests.control_plane import ControlPlane, ControlPlanes
from tests.live import Launcher
from tests.local_home import LocalHome
from tests.needs import IN_CI, require
from tests.postgresql import PostgreSQL
from tests.s3 import S3Server, running_s3
from tests.side_by_side import ByFile, turn_of

# A run that decides whether a change lands tries the same examples each time; on a developer's machine the dice find new ones.
# Neither tells from the time an example takes whether it is right: that depends on what else runs.
hypothesis.settings.register_profile("in CI", derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile("at home", deadline=None)
hypothesis.settings.load_profile("in CI" if IN_CI else "at home")


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start services over real HTTP: `serve(bundle).post("/score", {"data": [[1]]}).json()`. All end with the test; a process left behind fails it."""
    launcher = Launcher(tmp_path_factory.mktemp("services"))
    try:
        yield launcher
    finally:
        launcher.end()


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What servers of this run have built, in all its processes: `share_environments`."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "environments"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    require("initdb")
    server = PostgreSQL()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def _sqlite_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    yield from _one_plane(tmp_path_factory, None)


@pytest.fixture(scope="session")
def _postgresql_plane(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL) -> Iterator[ControlPlane]:
    yield from _one_plane(tmp_path_factory, postgresql.database())


def _one_plane(tmp_path_factory: pytest.TempPathFactory, database_url: str | None) -> Iterator[ControlPlane]:
    started = ControlPlanes(tmp_path_factory.mktemp("shared-plane"))
    try:
        yield started(database_url=database_url, env=BASE_OF_IMAGES)
    finally:
        started.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_plane(request: pytest.FixtureRequest) -> ControlPlane:
    """A real server that many tests use, once on SQLite and once on PostgreSQL. Quick; neither stop it nor count what else it holds."""
    plane: ControlPlane = request.getfixturevalue(f"_{request.param}_plane")
    return plane


@pytest.fixture
def lone_plane(_sqlite_plane: ControlPlane) -> ControlPlane:
    """The shared one on SQLite, for what does not depend on the database."""
    return _sqlite_plane


@pytest.fixture
def owner(shared_plane: ControlPlane) -> Iterator[Transport]:
    """The shared server as the owner of a new workspace of this test's own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    with shared_plane.transport(workspace=name) as transport:
        transport.create(Workspace, "/v1/workspaces", NewWorkspace(name=name))
        yield transport


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database; a test that asks for it runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'database' / 'fairlead.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.database()


@pytest.fixture
def control_planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlanes]:
    """Start control planes as processes: `control_planes(database_url=…, env={…})`. All end with the test, and every service that they started."""
    started = ControlPlanes(tmp_path_factory.mktemp("control-planes"))
    try:
        yield started
    finally:
        started.end()


@pytest.fixture
def control_plane(control_planes: ControlPlanes, database_url: str) -> ControlPlane:
    """A real server with an empty database, once on SQLite and once on PostgreSQL; `.transport()` is its owner's."""
    return control_planes(database_url=database_url)


@pytest.fixture
def local_plane(control_planes: ControlPlanes) -> ControlPlane:
    """A real server on SQLite alone, for what does not depend on the database."""
    return control_planes()


@pytest.fixture
def local_home(tmp_path: Path) -> Iterator[LocalHome]:
    """A FAIRLEAD_HOME in which nothing has run yet, and commands that are run in it."""
    home = LocalHome(tmp_path / "home")
    try:
        yield home
    finally:
        home.end()


@pytest.fixture(scope="session")
def s3_server(repository: Path) -> Iterator[S3Server]:
    """A real S3 server, moto's, for the whole run; each test makes its own bucket."""
    require("moto", "s3fs")
    with running_s3(repository) as server:
        yield server


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """True under --long: for tests that run short by default and at full length by the flag."""
    return bool(request.config.getoption("--long"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the fault tests at full length")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn_of(item.nodeid))
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        require(*marker.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip_in_ci(report)
    return report


def _no_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A module-level importorskip and a hidden pytest.skip() count too: in CI every test runs, so that green means tested."""
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, but in CI every test runs: {report.longrepr}"

"""Fixtures and rules for all tests: live services, what a test needs, long runs by a flag, no skip in CI."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.live import Launcher
from tests.needs import IN_CI, require

# A run that decides whether a change lands tries the same examples each time; on a developer's machine the dice find new ones.
hypothesis.settings.register_profile("in CI", derandomize=True, database=None)
if IN_CI:
    hypothesis.settings.load_profile("in CI")


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start services over real HTTP: `serve(bundle).post("/score", {"data": [[1]]}).json()`. All end with the test; a process left behind fails it."""
    launcher = Launcher(tmp_path_factory.mktemp("services"))
    try:
        yield launcher
    finally:
        launcher.end()


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """True under --long: for tests that run short by default and at full length by the flag."""
    return bool(request.config.getoption("--long"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the fault tests at full length")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
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

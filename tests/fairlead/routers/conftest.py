"""`envoy`: a router in a folder of its own, ended with the test; `echo`: services that say what they were sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.routers.envoy import EnvoyRouter
from tests.fairlead.routers.services import ECHO, Replicas
from tests.faults.subject import Subjects
from tests.live import Launcher

pytest.register_assert_rewrite("tests.fairlead.routers.contract")


@pytest.fixture
def envoy(tmp_path: Path) -> Iterator[EnvoyRouter]:
    router = EnvoyRouter(tmp_path / "router")
    try:
        yield router
    finally:
        router.end()


@pytest.fixture
def replicas(subject: Subjects) -> Replicas:
    return Replicas(subject, ECHO)


@pytest.fixture
def subject(serve: Launcher, tmp_path: Path) -> Subjects:
    return Subjects(serve, tmp_path)

"""`local`, `docker`: a target with what it needs; its services end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.routers.envoy import EnvoyRouter
from fairlead.testing.routers import FakeRouter
from tests.containers import require_engine
from tests.fairlead.targets.bench import LocalBench
from tests.fairlead.targets.docker_bench import DockerBench, Gallery

pytest.register_assert_rewrite("tests.fairlead.targets.contract")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalBench]:
    bench = LocalBench(tmp_path)
    try:
        yield bench
    finally:
        bench.end()


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """Its images are removed from the engine at the end, with the layers that nobody else has."""
    require_engine()
    images = Gallery(tmp_path_factory.mktemp("gallery"))
    try:
        yield images
    finally:
        images.end()


@pytest.fixture
def routed(tmp_path: Path, gallery: Gallery) -> Iterator[DockerBench]:
    """Behind Envoy."""
    yield from _bench(DockerBench(tmp_path / "routed", gallery, EnvoyRouter(tmp_path / "router")))


@pytest.fixture
def docker(tmp_path: Path, gallery: Gallery) -> Iterator[DockerBench]:
    """Behind a router that only notes what it is told."""
    yield from _bench(DockerBench(tmp_path / "docker", gallery, FakeRouter()))


@pytest.fixture
def single(tmp_path: Path, gallery: Gallery) -> Iterator[DockerBench]:
    """Without a router."""
    yield from _bench(DockerBench(tmp_path / "single", gallery, None))


def _bench(bench: DockerBench) -> Iterator[DockerBench]:
    try:
        yield bench
    finally:
        bench.end()

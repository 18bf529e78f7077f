"""DockerTarget keeps the contract with real containers, behind a router and alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairlead.errors import UsageError
from fairlead.targets.docker import DockerTarget
from fairlead.targets.types import Service, Target
from tests.fairlead.targets.contract import Broken, TargetContract
from tests.fairlead.targets.docker_bench import DockerBench

pytestmark = pytest.mark.engine


class TestDockerTarget(TargetContract):
    @pytest.fixture
    def target(self, routed: DockerBench) -> DockerTarget:
        return routed.target

    @pytest.fixture
    def service(self, routed: DockerBench) -> Service:
        return routed.service()

    @pytest.fixture
    def broken(self, routed: DockerBench) -> Broken:
        return Broken({"image": routed.gallery.without_bundle()}, "/opt/fairlead/bundle")


class TestSingleContainer(TargetContract):
    @pytest.fixture
    def target(self, single: DockerBench) -> DockerTarget:
        return single.target

    @pytest.fixture
    def service(self, single: DockerBench) -> Service:
        return single.service()

    @pytest.fixture
    def broken(self, single: DockerBench) -> Broken:
        return Broken({"image": single.gallery.without_bundle()}, "/opt/fairlead/bundle")

    def test_workers_and_replicas_multiply(self, target: Target, service: Service) -> None:
        """There is one container."""
        with pytest.raises(UsageError, match="runs one container"):
            target.apply(replace(service, replicas=2))

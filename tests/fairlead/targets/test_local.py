"""LocalTarget keeps the contract with real processes."""

from __future__ import annotations

import pytest

from fairlead.targets.local import LocalTarget
from fairlead.targets.types import Service
from tests.fairlead.targets.bench import LocalBench
from tests.fairlead.targets.contract import TargetContract


class TestLocalTarget(TargetContract):
    @pytest.fixture
    def target(self, local: LocalBench) -> LocalTarget:
        return local.target

    @pytest.fixture
    def service(self, local: LocalBench) -> Service:
        return local.service()

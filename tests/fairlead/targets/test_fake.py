"""The public fake keeps the contract, and does what tests ask of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.targets.types import Failure, Service, State
from fairlead.testing import FakeTarget
from tests.fairlead.targets.contract import TargetContract, next_of


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(handle="fl-0000000a", workspace="default", name="churn", revision="r1", generation=1, bundle=tmp_path, python=Path("python"))


class TestFakeTarget(TargetContract):
    @pytest.fixture
    def target(self) -> FakeTarget:
        return FakeTarget()

    @pytest.fixture
    def service(self, service: Service) -> Service:
        return service


def test_a_patient_one_waits_for_the_test(service: Service) -> None:
    target = FakeTarget(is_patient=True)
    target.apply(service)
    assert target.observe(service.handle).state is State.STARTING
    target.settle(service.handle)
    assert target.observe(service.handle).state is State.RUNNING
    target.apply(next_of(service))
    assert (target.observe(service.handle).state, target.observe(service.handle).revision) == (State.UPDATING, "r1")


def test_a_failure_on_order_and_a_power_cut(service: Service) -> None:
    target = FakeTarget()
    failure = Failure(stage="proving", cause="answer-differs", message="row 3 is 1, recorded 2", log_lines=("a",) * 60)
    target.fail(service.handle, failure)
    target.apply(service)
    seen = target.observe(service.handle)
    assert (seen.state, seen.message) == (State.FAILED, failure.message)
    assert seen.failure is not None
    assert len(seen.failure.log_lines) == 50
    target.apply(next_of(service))
    assert target.observe(service.handle).state is State.RUNNING
    target.kill(service.handle)
    assert target.observe(service.handle).state is State.STOPPED
    assert [one.revision for one in target.applied] == ["r1", "r2"]

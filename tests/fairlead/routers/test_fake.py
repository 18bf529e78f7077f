"""FakeRouter passes the contract, and does what tests ask of it."""

from __future__ import annotations

import pytest

from fairlead.routers.types import Route, RouteState
from fairlead.testing.routers import FakeRouter
from tests.fairlead.routers.contract import RouterContract, replica


class TestFakeRouter(RouterContract):
    @pytest.fixture
    def router(self) -> FakeRouter:
        return FakeRouter()


def test_a_patient_one_is_settled_by_hand() -> None:
    router = FakeRouter(is_patient=True)
    route = Route(handle="fl-1", host="127.0.0.1", port=7001, upstreams=(replica(1001),))
    router.publish(route)
    assert router.observe("fl-1") == RouteState(is_live=False, message="The router has not taken it up yet.", in_flight={"127.0.0.1:1001": 0})
    router.refuse("fl-1", "the port is taken")
    router.busy("fl-1", "127.0.0.1:1001", 3)
    assert router.observe("fl-1") == RouteState(is_live=False, message="the port is taken", in_flight={"127.0.0.1:1001": 3})
    router.settle("fl-1")
    assert router.observe("fl-1") == RouteState(is_live=True, in_flight={"127.0.0.1:1001": 3})
    assert router.published == [route]

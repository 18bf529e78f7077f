"""What every router does: subclass it, and give the fixture `router`. No request is sent here: that is between a proxy and its own tests."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.errors import UsageError
from fairlead.routers.types import Certificate, Route, Router, Upstream
from tests.fairlead.routers.services import HANDLE, live, published
from tests.live import free_port

OTHER = "fl-0000000b"


def replica(port: int, weight: int = 1) -> Upstream:
    """Nobody need listen there."""
    return Upstream(host="127.0.0.1", port=port, weight=weight)


class RouterContract:
    @pytest.fixture
    def router(self) -> Router:
        raise NotImplementedError

    @pytest.fixture
    def route(self) -> Route:
        return Route(handle=HANDLE, host="127.0.0.1", port=free_port(), upstreams=(replica(1001), replica(1002)))

    def test_what_was_never_published_is_not_there(self, router: Router) -> None:
        assert router.observe(HANDLE) is None
        router.retire(HANDLE)
        assert router.observe(HANDLE) is None

    def test_a_published_route_is_live_and_at_rest(self, router: Router, route: Route) -> None:
        router.publish(route)
        seen = live(router)
        assert (seen.is_live, seen.message) == (True, "")
        assert seen.in_flight == {"127.0.0.1:1001": 0, "127.0.0.1:1002": 0}

    def test_the_same_published_twice_is_one_route(self, router: Router, route: Route) -> None:
        published(router, route)
        before = live(router)
        router.publish(route)
        assert live(router) == before

    def test_a_route_without_replicas_is_live(self, router: Router, route: Route) -> None:
        published(router, replace(route, upstreams=()))
        assert live(router).in_flight == {}

    def test_replicas_come_and_go_and_those_that_leave_are_still_counted(self, router: Router, route: Route) -> None:
        published(router, route)
        published(router, replace(route, upstreams=(replica(1002), replica(1003))))
        assert live(router).in_flight == {"127.0.0.1:1001": 0, "127.0.0.1:1002": 0, "127.0.0.1:1003": 0}
        published(router, route)
        assert live(router).in_flight == {"127.0.0.1:1001": 0, "127.0.0.1:1002": 0, "127.0.0.1:1003": 0}

    def test_weights_change(self, router: Router, route: Route) -> None:
        for weights in ((1, 1), (95, 5), (1, 0), (0, 0)):
            published(router, replace(route, upstreams=(replica(1001, weights[0]), replica(1002, weights[1]))))

    def test_the_address_moves(self, router: Router, route: Route) -> None:
        published(router, route)
        published(router, replace(route, port=free_port()))
        published(router, route)

    def test_a_retired_route_is_gone_and_its_address_is_free(self, router: Router, route: Route) -> None:
        published(router, route)
        router.retire(HANDLE)
        assert router.observe(HANDLE) is None
        router.retire(HANDLE)
        published(router, replace(route, handle=OTHER))
        router.retire(OTHER)
        published(router, route)

    def test_two_routes_do_not_touch_each_other(self, router: Router, route: Route) -> None:
        other = replace(route, handle=OTHER, port=free_port(), upstreams=(replica(1009),))
        published(router, route)
        published(router, other)
        router.retire(HANDLE)
        assert live(router, OTHER).in_flight == {"127.0.0.1:1009": 0}

    def test_one_address_has_one_route(self, router: Router, route: Route) -> None:
        published(router, route)
        with pytest.raises(UsageError, match=f"cannot be served at 127.0.0.1:{route.port}.*choose another port"):
            router.publish(replace(route, handle=OTHER))
        assert router.observe(OTHER) is None
        assert live(router).is_live

    @pytest.mark.parametrize(
        "wrong",
        [
            {"handle": "../x"},
            {"port": 0},
            {"host": "no such host"},
            {"upstreams": (replica(1001), replica(1001, 2))},
            {"upstreams": (replica(1001, -1),)},
            {"upstreams": (replica(0),)},
        ],
        ids=str,
    )
    def test_what_can_never_be_is_refused_and_changes_nothing(self, router: Router, route: Route, wrong: dict[str, object]) -> None:
        published(router, route)
        with pytest.raises(UsageError):
            router.publish(replace(route, **wrong))  # type: ignore[arg-type]
        assert live(router).in_flight == {"127.0.0.1:1001": 0, "127.0.0.1:1002": 0}

    def test_a_certificate_that_is_none_is_refused(self, router: Router, route: Route, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="cannot be used"):
            router.publish(replace(route, tls=Certificate(cert=tmp_path / "no.pem", key=tmp_path / "no.key")))
        assert router.observe(HANDLE) is None

    def test_publications_that_race_end_in_one_of_them_whole(self, router: Router, route: Route) -> None:
        ports = range(1101, 1117)
        threads = [threading.Thread(target=router.publish, args=(replace(route, upstreams=(replica(port),)),)) for port in ports]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        live(router)
        published(router, replace(route, upstreams=(replica(1999),)))
        counts = live(router).in_flight
        assert counts is not None
        assert counts["127.0.0.1:1999"] == 0

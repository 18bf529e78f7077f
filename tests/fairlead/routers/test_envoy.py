"""EnvoyRouter passes the contract; addresses, weights and what is in flight, with a real Envoy before real services."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.errors import UsageError
from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Route, RouteState
from tests.fairlead.routers.contract import RouterContract, replica
from tests.fairlead.routers.services import HANDLE, Replicas, live, published, route_to, upstream
from tests.faults.scripts import versioned
from tests.faults.subject import Subjects
from tests.live import free_port
from tests.waiting import until

pytestmark = pytest.mark.needs("envoy")


class TestEnvoyRouter(RouterContract):
    @pytest.fixture
    def router(self, envoy: EnvoyRouter) -> EnvoyRouter:
        return envoy


def call(port: int, path: str = "/score", method: str = "POST", headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, b"{}" if method == "POST" else None, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@contextmanager
def underway(port: int, seconds: float) -> Iterator[list[int]]:
    """A request that takes as long; its status is there in the end."""
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(call(port, f"/score?seconds={seconds}")[0]))
    thread.start()
    try:
        yield statuses
    finally:
        thread.join(30)


def seen(router: EnvoyRouter) -> RouteState:
    state = router.observe(HANDLE)
    assert state is not None
    return state


def test_what_is_in_flight_is_counted_by_replica_also_when_it_has_left(envoy: EnvoyRouter, replicas: Replicas) -> None:
    old, new = replicas(), replicas()
    port = published(envoy, route_to(old)).port
    with underway(port, 1.5) as statuses:
        until(lambda: seen(envoy).in_flight == {f"127.0.0.1:{old.port}": 1}, "the request to be counted")
        published(envoy, route_to(new, port=port))
        assert seen(envoy).in_flight == {f"127.0.0.1:{old.port}": 1, f"127.0.0.1:{new.port}": 0}
        assert call(port)[0] == 200
    assert statuses == [200]
    assert seen(envoy).in_flight == {f"127.0.0.1:{old.port}": 0, f"127.0.0.1:{new.port}": 0}
    until(lambda: seen(envoy).in_flight == {f"127.0.0.1:{new.port}": 0}, "the old one to be forgotten")
    assert seen(envoy).is_live


def test_weights_share_requests_out(envoy: EnvoyRouter, subject: Subjects) -> None:
    services = [subject(versioned(number).replace('json.loads(data)["tag"]', "0")) for number in range(3)]
    route = route_to(*services)
    weighted = tuple(upstream(service, weight) for service, weight in zip(services, (90, 10, 0), strict=True))
    published(envoy, replace(route, upstreams=weighted))
    with ThreadPoolExecutor(4) as pool:
        answers = Counter(json.loads(body)["version"] for _, _, body in pool.map(lambda _: call(route.port), range(400)))
    assert answers[2] == 0
    assert 30 <= answers[1] <= 50, answers


def test_nobody_ready_is_answered_as_the_service_would(envoy: EnvoyRouter) -> None:
    """No replica, one that drains, and one that is not there."""
    route = Route(handle=HANDLE, host="127.0.0.1", port=free_port(), upstreams=())
    for upstreams in ((), (replica(1001, 0),), (replica(1001), replica(1002))):
        published(envoy, replace(route, upstreams=upstreams))
        status, headers, body = call(route.port, headers={"x-request-id": "mine", "x-ms-client-request-id": "theirs"})
        assert (status, json.loads(body)) == (503, {"message": "No worker of this service is ready. Try again later."})
        said = {name: headers.get(name) for name in ("content-type", "retry-after", "x-ms-run-function-failed", "x-request-id", "x-ms-request-id")}
        assert list(said.values()) == ["application/json", "2", "False", "mine", "theirs"]
        assert not {"server", "x-envoy-upstream-service-time"} & set(headers)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/readyz", {"status": "not ready", "ready": False, "message": "No worker of this service is ready. Try again later."}),
        ("/api/v1/service/x/ping", {"status": "not ready", "ready": False, "message": "No worker of this service is ready. Try again later."}),
        ("/v2/models/m/infer", {"error": "No worker of this service is ready. Try again later."}),
        ("/invocations?x=1", {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "No worker of this service is ready. Try again later."}),
        ("/", None),
    ],
)
def test_nobody_ready_is_said_in_each_dialect(envoy: EnvoyRouter, path: str, body: dict[str, object] | None) -> None:
    port = published(envoy, Route(handle=HANDLE, host="127.0.0.1", port=free_port(), upstreams=())).port
    status, headers, said = call(port, path, "GET")
    assert (status, headers["retry-after"]) == (503, "2")
    assert json.loads(said) == body if body else said == b"No worker of this service is ready. Try again later."


@pytest.mark.parametrize("gone", [(1, 1), (1, 1, 1, 1, 1, 1, 1), (99,), (60, 39)])
def test_a_replica_that_is_gone_costs_no_request_while_another_is_there(envoy: EnvoyRouter, replicas: Replicas, gone: tuple[int, ...]) -> None:
    """Whatever its share was. In the last two the one that answers has a hundredth of it."""
    there = replicas()
    lost = tuple(replica(1001 + number, weight) for number, weight in enumerate(gone))
    port = published(envoy, replace(route_to(there), upstreams=(upstream(there), *lost))).port
    assert Counter(call(port)[0] for _ in range(60)) == {200: 60}


def test_max_body_is_refused_by_its_length(envoy: EnvoyRouter, replicas: Replicas) -> None:
    service = replicas()
    port = published(envoy, replace(route_to(service), max_body=1)).port
    status, headers, body = call(port)
    assert (status, headers["content-type"]) == (413, "application/json")
    assert json.loads(body) == {"message": "The body is larger than 1 bytes; send less at a time."}
    published(envoy, replace(route_to(service, port=port), max_body=2))
    assert call(port)[0] == 200


def test_a_retired_address_answers_what_it_has_in_hand(envoy: EnvoyRouter, replicas: Replicas) -> None:
    port = published(envoy, route_to(replicas())).port
    with underway(port, 1.0) as statuses:
        until(lambda: sum((seen(envoy).in_flight or {}).values()) == 1, "the request to be counted")
        envoy.retire(HANDLE)
        until(lambda: _is_refused(port), "the address to be gone")
    assert statuses == [200]


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_kept_connections_outlive_new_replicas_and_new_limits(envoy: EnvoyRouter, replicas: Replicas) -> None:
    one, two = replicas(), replicas()
    port = published(envoy, route_to(one)).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/version")
    connection.getresponse().read()
    first = connection.sock
    published(envoy, route_to(two, port=port))
    connection.request("GET", "/version")
    answer = connection.getresponse()
    assert (answer.status, answer.read() != b"", connection.sock is first) == (200, True, True)
    published(envoy, replace(route_to(two, port=port), max_body=1000))
    connection.request("GET", "/version")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection"), answer.read() != b"", connection.sock is first) == (200, None, True, True)
    connection.close()


def test_an_address_that_somebody_else_has_is_refused_with_the_reason(envoy: EnvoyRouter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot be served at 127.0.0.1:{port}: another process listens there"):
            envoy.publish(Route(handle=HANDLE, host="127.0.0.1", port=port, upstreams=()))
    with pytest.raises(UsageError, match="no such address"):
        envoy.publish(Route(handle=HANDLE, host="192.0.2.1", port=free_port(), upstreams=()))
    assert envoy.observe(HANDLE) is None


def test_an_address_that_is_taken_while_the_proxy_was_away_is_said_and_taken_back(envoy: EnvoyRouter) -> None:
    route = published(envoy, Route(handle=HANDLE, host="127.0.0.1", port=free_port(), upstreams=()))
    envoy.end()
    with socket.create_server(("127.0.0.1", route.port)):
        until(lambda: "another process does" in seen(envoy).message, "the reason")
        assert not seen(envoy).is_live
    live(envoy)


def test_many_threads_and_routers_end_in_the_newest(envoy: EnvoyRouter) -> None:
    """By handle: whoever publishes last is what is live, also when another object for the same folder did it."""
    others = [envoy, *(EnvoyRouter(envoy.folder) for _ in range(3))]
    routes = {f"fl-{number}": Route(handle=f"fl-{number}", host="127.0.0.1", port=free_port(), upstreams=()) for number in range(8)}

    def publish_all(handle: str) -> None:
        for step in range(10):
            others[step % 4].publish(replace(routes[handle], upstreams=(replica(2000 + step),)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish_all, routes))
    for handle in routes:
        counts = live(others[1], handle).in_flight
        assert counts is not None
        assert "127.0.0.1:2009" in counts
        assert envoy.observe(handle) == others[2].observe(handle)


def test_more_routes_than_files_can_be_watched(envoy: EnvoyRouter) -> None:
    """A user has 128 inotify instances, and Envoy dies when it gets none: the number of files must not grow with the routes."""
    ports: set[int] = set()
    while len(ports) < 130:
        ports.add(free_port())
    routes = [Route(handle=f"fl-{port}", host="127.0.0.1", port=port, upstreams=(replica(1001),)) for port in ports]
    for route in routes:
        envoy.publish(route)
    for route in routes:
        live(envoy, route.handle, timeout=60)
    watched = [_opened(link) for link in Path(f"/proc/{(envoy.folder / 'envoy.lock').read_text()}/fd").iterdir()]
    assert 1 <= sum(name == "anon_inode:inotify" for name in watched) <= 5


def _opened(link: Path) -> str:
    """What a descriptor leads to; "" when it was closed meanwhile."""
    try:
        return link.readlink().name
    except FileNotFoundError:
        return ""

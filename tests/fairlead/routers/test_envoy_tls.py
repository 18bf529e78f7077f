"""TLS ends at the router: versions, a renewed certificate, and files that make none."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.errors import UsageError
from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Certificate, Route
from tests.fairlead.routers.services import Replicas, live, published, route_to
from tests.live import free_port, read_reply
from tests.scoring.front.test_tls import certificate
from tests.waiting import until

pytestmark = pytest.mark.needs("envoy", "openssl")


def connect(port: int, cert: Path, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, *, protocols: tuple[str, ...] = ()) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=cert)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = highest
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return http.client.HTTPSConnection("localhost", port, timeout=20, context=context)


def secured(route: Route, folder: Path, name: str) -> tuple[Route, Path]:
    cert, key = certificate(folder, name)
    return replace(route, tls=Certificate(cert=cert, key=key)), cert


def test_services_behind_it_speak_plain_http(envoy: EnvoyRouter, replicas: Replicas, tmp_path: Path) -> None:
    route, cert = secured(route_to(replicas()), tmp_path, "first")
    published(envoy, route)
    connection = connect(route.port, cert, protocols=("h2", "http/1.1"))
    connection.request("POST", "/score", b"{}")
    answer = read_reply(connection)
    assert answer.status == 200
    assert ["X-Forwarded-Proto", "https"] not in answer.json()["headers"], "nothing is added"
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.selected_alpn_protocol() == "http/1.1"
    connection.close()
    plain = http.client.HTTPConnection("127.0.0.1", route.port, timeout=5)
    plain.request("GET", "/")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        plain.getresponse()
    plain.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.MINIMUM_SUPPORTED:DeprecationWarning")
@pytest.mark.parametrize(("highest", "is_taken"), [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)])
def test_old_versions_are_refused(envoy: EnvoyRouter, tmp_path: Path, highest: ssl.TLSVersion, is_taken: bool) -> None:
    route, cert = secured(Route(handle="fl-1", host="127.0.0.1", port=free_port(), upstreams=()), tmp_path, "first")
    published(envoy, route)
    connection = connect(route.port, cert, highest)
    if is_taken:
        connection.connect()
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connection.connect()
    connection.close()


def test_a_renewed_certificate_is_taken_and_connections_outlive_it(envoy: EnvoyRouter, replicas: Replicas, tmp_path: Path) -> None:
    route, first = secured(route_to(replicas()), tmp_path, "first")
    published(envoy, route)
    kept = connect(route.port, first)
    kept.request("GET", "/version")
    assert read_reply(kept).status == 200
    renewed, second = secured(route, tmp_path, "second")
    published(envoy, renewed)

    def is_used() -> bool:
        connection = connect(route.port, second)
        try:
            connection.connect()
        except ssl.SSLError:
            return False
        finally:
            connection.close()
        return True

    until(is_used, "the new certificate to be shown")
    kept.request("GET", "/version")
    answer = read_reply(kept)
    assert (answer.status, answer.headers.get("connection")) == (200, "close"), "the address has changed: it says good-bye after an answer"
    kept.close()


@pytest.mark.parametrize("wrong", ["another key", "no certificate", "no file"])
def test_files_that_make_no_certificate_change_nothing(envoy: EnvoyRouter, tmp_path: Path, wrong: str) -> None:
    route, cert = secured(Route(handle="fl-1", host="127.0.0.1", port=free_port(), upstreams=()), tmp_path, "first")
    published(envoy, route)
    assert route.tls is not None
    key = {"another key": certificate(tmp_path, "other")[1], "no certificate": route.tls.key, "no file": tmp_path / "none"}[wrong]
    with pytest.raises(UsageError, match=r"cannot be used with the key .* give two PEM files that match"):
        envoy.publish(replace(route, tls=Certificate(cert=key if wrong == "no certificate" else cert, key=key)))
    assert live(envoy, "fl-1").is_live
    connection = connect(route.port, cert)
    connection.connect()
    connection.close()


def test_tls_comes_and_goes_at_the_same_address(envoy: EnvoyRouter, replicas: Replicas, tmp_path: Path) -> None:
    plain = route_to(replicas())
    secure, cert = secured(plain, tmp_path, "first")
    for route in (plain, secure, plain):
        published(envoy, route)
        connection = connect(route.port, cert) if route.tls else http.client.HTTPConnection("127.0.0.1", route.port, timeout=10)
        connection.request("GET", "/version")
        assert read_reply(connection).status == 200
        connection.close()

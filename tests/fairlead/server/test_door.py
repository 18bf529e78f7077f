"""What a request passes before anything of it is read: the caller's right, then the size of the body."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from fairlead.server.app import Surroundings
from tests.control_plane import ControlPlane, ControlPlanes

MOST = 1000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A server that takes 1000 bytes."""
    started = ControlPlanes(tmp_path_factory.mktemp("small"))
    try:
        yield started("--max-body", str(MOST))
    finally:
        started.end()


def secret(length: int) -> bytes:
    return b'{"value": "' + b"x" * (length - 13) + b'"}'


@pytest.mark.parametrize(("length", "status"), [(MOST, 200), (MOST + 1, 413), (10_000_000, 413)])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_refused(small: ControlPlane, length: int, status: int, announced: bool) -> None:
    def pieces() -> Iterator[bytes]:
        whole = secret(length)
        yield from (whole[at : at + 60_000] for at in range(0, length, 60_000))

    content = secret(length) if announced else pieces()
    answer = small.request("PUT", "/v1/workspaces/default/secrets/s", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    if status == 413:
        assert (answer.json()["type"], answer.headers["content-type"]) == ("urn:fairlead:error:too-large", "application/problem+json")
        assert f"{MOST} bytes" in answer.json()["detail"]


def test_a_stranger_is_refused_before_the_body_is_sent(small: ControlPlane) -> None:
    head = "PUT /v1/workspaces/default/secrets/s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\nexpect: 100-continue\r\n\r\n"
    host, port = small.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 401"


@pytest.mark.parametrize("body", [b"{", b'{"value": 1}', b"\xff"])
def test_a_stranger_learns_nothing_of_the_body(small: ControlPlane, body: bytes) -> None:
    answer = small.request("PUT", "/v1/workspaces/default/secrets/s", token="", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="fairlead"')


@pytest.mark.parametrize("path", ["/v1/workspaces/a%00b", "/v1/workspaces?after=%00", "/v1/none%00"])
def test_a_nul_character_in_an_address_is_refused(small: ControlPlane, path: str) -> None:
    answer = small.request("GET", path)
    assert (answer.status_code, "NUL" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_only_an_answer_over_tls_asks_for_tls(scheme: str) -> None:
    async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(Surroundings(answering)), base_url=f"{scheme}://here") as client:
            return await client.get("/")

    answer = asyncio.run(ask())
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("strict-transport-security" in answer.headers) == (scheme == "https")


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False)])  # noqa: S104 - what the warning is about
def test_a_server_that_others_can_reach_without_tls_says_so(control_planes: ControlPlanes, host: str, warned: bool) -> None:
    log = control_planes("--host", host).log.read_text()
    assert ("in clear text: start it with --tls-cert" in log) == warned

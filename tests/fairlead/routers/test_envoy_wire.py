"""The wire contract, byte by byte: what a client gets through the router is what the service answers without it."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fairlead.routers.envoy import EnvoyRouter
from tests.fairlead.routers.services import ECHO, exchange, published, route_to
from tests.faults.subject import Subjects
from tests.live import Launcher

pytestmark = pytest.mark.needs("envoy")

CLOSE = b"Connection: close\r\n"
OF_CONNECTIONS = {"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade"}  # a proxy has connections of its own (RFC 9110, 7.6.1)
VOLATILE = re.compile(rb"(?m)^(date|x-request-id|x-ms-request-id|x-ms-run-fn-exec-ms): .*?\r$")
MIB = 1 << 20


@dataclass(frozen=True)
class Ways:
    """The same service, with and without the router."""

    direct: int
    routed: int

    def ask(self, sent: bytes) -> tuple[bytes, bytes]:
        """What came back, without what is new each time."""
        first, second = (VOLATILE.sub(rb"\1: ?\r", exchange(port, sent)) for port in (self.direct, self.routed))
        return first, second


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp("wire")
    launcher, router = Launcher(folder), EnvoyRouter(folder / "router")
    try:
        service = Subjects(launcher, folder)(ECHO, "--max-body", str(64 * MIB))
        yield Ways(direct=service.port, routed=published(router, route_to(service)).port)
    finally:
        router.end()
        launcher.end()


def request(line: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    return line + b" HTTP/1.1\r\nHost: here\r\n" + headers + CLOSE + b"\r\n" + body


def posted(headers: bytes, body: bytes) -> bytes:
    return request(b"POST /score", headers, body)


CHUNKS = b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"
ALIKE = {
    "a page": request(b"GET /version"),
    "a head": request(b"HEAD /version"),
    "health": request(b"GET /"),
    "ready": request(b"GET /readyz"),
    "openapi": request(b"GET /openapi.json"),
    "no such route": request(b"GET /nowhere"),
    "a path that could be tidied": request(b"GET /a/../score//b/./%2e%2F%00/;p?q=%zz&&q"),
    "dots": request(b"GET /x/../version"),
    "an absolute form": request(b"GET http://elsewhere/version"),
    "a wrong method": request(b"DELETE /score"),
    "ids": request(b"GET /version", b"x-ms-client-request-id: Mine-17\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"),
    "a long id": request(b"GET /version", b"x-request-id: " + b"a" * 101 + b"\r\n"),
    "another expectation": posted(b"Expect: more\r\nContent-Length: 2\r\n", b"{}"),
    "headers over the limit": request(b"GET /version", b"X-A: " + b"a" * 100_000 + b"\r\n"),
    "too many headers": request(b"GET /version", b"".join(b"X-%d: a\r\n" % number for number in range(300))),
    "a broken gzip": posted(b"Content-Encoding: gzip\r\nContent-Length: 3\r\n", b"abc"),
    "a content encoding": posted(b"Content-Encoding: br\r\nContent-Length: 3\r\n", b"abc"),
    "pipelined": b"GET /version HTTP/1.1\r\nHost: here\r\n\r\n" * 5 + request(b"GET /readyz"),
    "continue": posted(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"{}").replace(b"/score", b"/nowhere"),
}
SEEN_ALIKE = {
    "a get": request(b"GET /score?a=1&a=2&x=%2F"),
    "a post": posted(b"Content-Length: 2\r\nContent-Type: text/x; charset=utf-8\r\n", b"{}"),
    "chunks": posted(b"Transfer-Encoding: chunked\r\n", CHUNKS),
    "a trailer": posted(b"Transfer-Encoding: chunked\r\n", CHUNKS.replace(b"0\r\n\r\n", b"0\r\nX-After: 1\r\n\r\n")),
    "an empty body": posted(b"Content-Length: 0\r\n", b""),
    "a get with a body": request(b"GET /score", b"Content-Length: 2\r\n", b"ab"),
    "an expectation": posted(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"{}"),
    "another protocol": posted(b"Upgrade: websocket\r\nContent-Length: 2\r\n", b"{}").replace(CLOSE, b"Connection: upgrade, close\r\n"),
    "odd headers": request(
        b"GET /score",
        b"x_under: a\r\nX-Dup: a\r\nx-dup: b\r\nCookie: a=1\r\nCookie: b=2\r\nTE: trailers\r\nX-Bytes: \xc3\xa9\xff\r\nAccept: a\r\nAccept: b\r\n"
        b"X-Empty:\r\nVia: x\r\nServer: z\r\nForwarded: for=a\r\nDate: today\r\nKeep-Alive: 5\r\nProxy-Connection: a\r\n",
    ),
    "headers that proxies set": request(
        b"GET /score",
        b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: h\r\nX-Forwarded-Port: 7\r\nX-Real-IP: 1.1.1.1\r\nX-B3-TraceId: 1\r\n",
    ),
    "an internal address": request(b"GET /score", b"X-Forwarded-For: 127.0.0.1\r\n"),
}


@pytest.mark.parametrize("sent", ALIKE.values(), ids=ALIKE)
def test_the_answer_has_the_same_bytes(ways: Ways, sent: bytes) -> None:
    direct, routed = ways.ask(sent)
    assert routed == direct
    assert direct.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("sent", SEEN_ALIKE.values(), ids=SEEN_ALIKE)
def test_the_script_sees_the_same_request(ways: Ways, sent: bytes) -> None:
    direct, routed = ways.ask(sent)
    (head, seen), (routed_head, routed_seen) = (_parts(answer) for answer in (direct, routed))
    assert routed_head == head
    assert routed_seen == seen


def _parts(answer: bytes) -> tuple[bytes, dict[str, Any]]:
    """The head without its length, and what the script says that it was sent, without what belongs to the connection."""
    head, _, body = answer.rpartition(b"\r\n\r\n")
    said = json.loads(body)
    said["headers"] = sorted([name, value] for name, value in said["headers"] if name not in OF_CONNECTIONS)
    return re.sub(rb"content-length: \d+", b"content-length: ?", head), said


EARLY = {
    "too long": posted(b"Content-Length: %d\r\n" % (65 * MIB), b""),
    "too long, and the client asks first": posted(b"Expect: 100-continue\r\nContent-Length: %d\r\n" % (65 * MIB), b""),
    "no such route": posted(b"Content-Length: %d\r\n" % MIB, b"a").replace(b"/score", b"/nowhere"),
}


@pytest.mark.parametrize("sent", EARLY.values(), ids=EARLY)
def test_what_is_refused_before_its_body_is_here_has_the_same_answer(ways: Ways, sent: bytes) -> None:
    direct, routed = (VOLATILE.sub(rb"\1: ?\r", exchange(port, sent, until_end=False)) for port in (ways.direct, ways.routed))
    assert routed == direct
    assert routed.startswith(b"HTTP/1.1 4")


def test_http_1_0_is_answered_in_its_own_version(ways: Ways) -> None:
    """The one byte of an answer that differs; RFC 9110, 6.2, lets both stand."""
    direct, routed = ways.ask(b"GET /version HTTP/1.0\r\n\r\n")
    assert routed == direct.replace(b"HTTP/1.1", b"HTTP/1.0")


@pytest.mark.parametrize("method", [b"POST", b"OPTIONS"])
def test_no_body_is_said_as_length_zero(ways: Ways, method: bytes) -> None:
    """So that whoever reads on knows; a GET without a body says nothing."""
    _, (_, seen) = (_parts(answer) for answer in ways.ask(request(method + b" /score")))
    assert ["Content-Length", "0"] in seen["headers"]
    assert seen["size"] == 0


BROKEN = {
    "no host": b"GET /version HTTP/1.1\r\n" + CLOSE + b"\r\n",
    "not http": b"hello there\r\n\r\n",
    "a wrong length": posted(b"Content-Length: x\r\n", b""),
    "two framings": posted(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "another transfer encoding": posted(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "a mebibyte of headers": request(b"GET /version", b"X-A: " + b"a" * MIB + b"\r\n"),
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_refused_in_the_form_of_the_service(ways: Ways, sent: bytes) -> None:
    """By the proxy, which has nothing to pass on."""
    direct, routed = (exchange(port, sent, until_end=False) for port in (ways.direct, ways.routed))
    status, routed_status = (answer.partition(b"\r\n")[0] for answer in (direct, routed))
    assert routed_status == status
    head, _, body = routed.partition(b"\r\n\r\n")
    assert list(json.loads(body)) == ["message"]
    for line in (b"content-type: application/json", b"x-ms-run-function-failed: False", b"connection: close"):
        assert line in head
        assert line in direct


def test_an_answer_streams_as_it_comes(envoy: EnvoyRouter, serve: Launcher, tmp_path: Path) -> None:
    """Each chunk is here before the next one is made: the script waits until it is told so."""
    script = (
        "import json, os, time\n\ndef init():\n    pass\n\ndef run(data):\n    for number in range(3):\n"
        "        while not os.path.exists(os.path.join(json.loads(data), str(number))):\n            time.sleep(0.01)\n        yield str(number) * 10\n"
    )
    service = Subjects(serve, tmp_path)(script)
    port = published(envoy, route_to(service)).port
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        told = json.dumps(str(tmp_path)).encode()
        sock.sendall(posted(b"Content-Length: %d\r\n" % len(told), told))
        answer = b""
        for number in range(3):
            (tmp_path / str(number)).touch()
            while str(number).encode() * 10 not in answer:
                piece = sock.recv(1 << 16)
                assert piece, answer
                answer += piece
        while piece := sock.recv(1 << 16):
            answer += piece
    assert b"transfer-encoding: chunked\r\n" in answer
    assert re.findall(rb"(\d)\1{9}", answer) == [b"0", b"1", b"2"]


def test_large_bodies_pass_in_both_directions_and_are_not_kept(envoy: EnvoyRouter, serve: Launcher, tmp_path: Path) -> None:
    """200 MiB up and 200 MiB down, and the proxy's memory grows by less than a tenth of that."""
    script = (
        "from azureml.contrib.services.aml_request import rawhttp\nfrom azureml.contrib.services.aml_response import AMLResponse\n\n"
        "def init():\n    pass\n\n@rawhttp\ndef run(request):\n    return AMLResponse(request.get_data()[::-1], 200)\n"
    )
    service = Subjects(serve, tmp_path)(script, "--max-body", str(300 * MIB))
    port = published(envoy, route_to(service)).port
    before = _peak_memory(envoy)
    size = 200 * MIB
    with socket.create_connection(("127.0.0.1", port), timeout=180) as sock:
        sender = threading.Thread(target=sock.sendall, args=(posted(b"Content-Length: %d\r\n" % size, b"a" * (size - 1) + b"z"),))
        sender.start()
        answer = bytearray()
        while piece := sock.recv(1 << 20):
            answer += piece
        sender.join(180)
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert (len(body), body[:2], body[-1:]) == (size, b"za", b"a")
    assert _peak_memory(envoy) - before < 20 * MIB


def _peak_memory(router: EnvoyRouter) -> int:
    pid = (router.folder / "envoy.lock").read_text()
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(peak) * 1024


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_client_that_reads_while_it_sends_hears_of_a_refusal(ways: Ways, chunked: bool) -> None:
    """As curl does. One that reads only when it has sent everything may find the connection reset: a proxy does not read what nobody wants."""
    body = b"".join([b"100000\r\n" + b"a" * MIB + b"\r\n"] * 80) + b"0\r\n\r\n" if chunked else b"a" * 80 * MIB
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", ways.routed), timeout=60) as sock:
        sender = threading.Thread(target=_send_what_can_be_sent, args=(sock, posted(framing, body)))
        sender.start()
        answer = sock.recv(1 << 16)
        sender.join(60)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"send less at a time" in answer


def _send_what_can_be_sent(sock: socket.socket, content: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(content)

"""A registry on bad days: a proxy before a real one that cuts, refuses, corrupts and redirects as a test says."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_HOP = ("connection", "transfer-encoding", "keep-alive")


class QuietServer(ThreadingHTTPServer):
    """Does not wait for clients who stay, and says nothing of those who go."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@dataclass(kw_only=True)
class Fault:
    """For requests of this method whose path matches, as often as `times`. Without a status the real answer is given, damaged or cut."""

    method: str
    path: str
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    redirect_to: str = ""  # host
    cut_after: int | None = None  # bytes of the answer's body
    corrupt_at: int | None = None  # byte of the answer's body
    extra: bytes = b""  # after the answer's body
    cut_upload_after: int | None = None  # bytes of the request's body; the real registry sees none of it
    drop_range: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]


class FaultyRegistry:
    """`seen`: every request that arrived."""

    def __init__(self, host: str, tls: ssl.SSLContext | None) -> None:
        self.upstream = host
        self.tls = tls
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.server = QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self._lock = threading.Lock()
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)

    def count(self, method: str, path: str) -> int:
        return sum(each.method == method and re.search(path, each.path) is not None for each in self.seen)

    def fault_for(self, method: str, path: str, length: int) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.method == method and re.search(fault.path, path) and fault.times > 0 and length >= (fault.cut_upload_after or 0):
                    fault.times -= 1
                    return fault
            return None


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyRegistry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._take()

    def do_HEAD(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def do_PUT(self) -> None:
        self._take()

    def do_PATCH(self) -> None:
        self._take()

    def _take(self) -> None:
        self.proxy.seen.append(Seen(method=self.command, path=self.path, headers={name.lower(): value for name, value in self.headers.items()}))
        length = int(self.headers.get("content-length", 0))
        fault = self.proxy.fault_for(self.command, self.path, length)
        if fault and fault.cut_upload_after is not None:
            self.rfile.read(fault.cut_upload_after)
            self._cut()
            return
        body = self.rfile.read(length)
        if len(body) < length:  # the client gave up
            self.close_connection = True
            return
        if fault and fault.redirect_to:
            self._give(307, {"location": f"http://{fault.redirect_to}{self.path}", "content-length": "0"}, b"")
            return
        if fault and fault.status:
            self._give(fault.status, {**fault.headers, "content-length": "0"}, b"")
            return
        status, headers, answer = self._forward(body, drop_range=bool(fault and fault.drop_range))
        self._damage(status, headers, answer, fault)

    def _forward(self, body: bytes, *, drop_range: bool) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.proxy.upstream)
        sent = {name: value for name, value in self.headers.items() if name.lower() not in _HOP and not (drop_range and name.lower() == "range")}
        if self.proxy.tls:
            sent["x-forwarded-proto"] = "https"
        connection.request(self.command, self.path, body=body, headers=sent)
        response = connection.getresponse()
        answer = response.read() if response.status != 416 else b""
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders() if name.lower() not in _HOP}, answer

    def _damage(self, status: int, headers: dict[str, str], answer: bytes, fault: Fault | None) -> None:
        if fault and fault.corrupt_at is not None:
            answer = answer[: fault.corrupt_at] + bytes([answer[fault.corrupt_at] ^ 1]) + answer[fault.corrupt_at + 1 :]
        if fault and fault.extra:
            answer += fault.extra
            headers["content-length"] = str(len(answer))
        self._give(status, headers, answer if fault is None or fault.cut_after is None else answer[: fault.cut_after])
        if fault and fault.cut_after is not None:
            self._cut()

    def _give(self, status: int, headers: dict[str, str], answer: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in headers:
            self.send_header("content-length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def _cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0) if self.command != "GET" else struct.pack("ii", 0, 0))

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def faulty(host: str, tls: ssl.SSLContext | None = None) -> Iterator[FaultyRegistry]:
    """Before the registry of that host; with TLS if need be."""
    proxy = FaultyRegistry(host, tls)
    thread = threading.Thread(target=proxy.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        thread.join()
        proxy.server.server_close()

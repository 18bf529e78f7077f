"""Uploads as Debian's registry does not do them: chunks out of order are refused (416), what arrived before a cut is kept, small chunks are not wanted."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.fairlead.images.registry.faulty_registry import QuietServer


class StrictUploads:
    """`cuts`: bytes after which the next PATCH loses its connection, each used once. `forget`: how many sessions die at their first chunk."""

    def __init__(self) -> None:
        self.sessions: dict[str, bytearray] = {}
        self.blobs: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.forget = 0
        self.smallest = 0
        self.lose_first_answers = 0
        self.refuse_chunks = False
        self.received = 0
        self.server = QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self}))
        self.host = f"127.0.0.1:{self.server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    registry: StrictUploads
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(200 if self._last_part() in self.registry.blobs or "manifests" in self.path else 404)

    def do_POST(self) -> None:
        session = uuid.uuid4().hex
        self.registry.sessions[session] = bytearray()
        least = {"OCI-Chunk-Min-Length": str(self.registry.smallest)} if self.registry.smallest else {}
        self._answer(202, {"Location": f"/v2/uploads/{session}?state=a%2Fb%3D", "Range": "0-0", **least})

    def do_GET(self) -> None:
        session = self._last_part()
        held = self.registry.sessions.get(session)
        self._answer(404) if held is None else self._answer(204, self._where(session, held))

    def do_PATCH(self) -> None:
        session, length = self._last_part(), int(self.headers["content-length"])
        if self.registry.forget > 0:
            self.registry.forget -= 1
            self.registry.sessions.pop(session)
        held = self.registry.sessions.get(session)
        first = int(self.headers["content-range"].partition("-")[0])
        if self.registry.refuse_chunks or held is None or first != len(held):
            self._read(length)
            self._answer(405 if self.registry.refuse_chunks else 404 if held is None else 416)
            return
        if self.registry.cuts:
            held += self._read(self.registry.cuts.pop(0))
            self.connection.close()
            self.close_connection = True
            return
        held += self._read(length)
        if self.registry.lose_first_answers > 0:
            self.registry.lose_first_answers -= 1
            self.connection.close()
            self.close_connection = True
            return
        self._answer(202, self._where(session, held))

    def do_PUT(self) -> None:
        body = self._read(int(self.headers.get("content-length", 0)))
        if "/manifests/" in self.path:
            self._answer(201)
            return
        parts = urlsplit(self.path)
        held = self.registry.sessions.pop(self._last_part(), None)
        (wanted,) = parse_qs(parts.query)["digest"]
        assert parse_qs(parts.query)["state"] == ["a/b="]  # the address came back as it was given
        content = bytes((held or b"") + body)
        right = held is not None and f"sha256:{hashlib.sha256(content).hexdigest()}" == wanted
        if right:
            self.registry.blobs[wanted] = content
        self._answer(201 if right else 400)

    def _last_part(self) -> str:
        return urlsplit(self.path).path.rpartition("/")[2]

    def _where(self, session: str, held: bytearray) -> dict[str, str]:
        return {"Location": f"/v2/uploads/{session}?state=a%2Fb%3D", "Range": f"0-{max(0, len(held) - 1)}"}

    def _read(self, size: int) -> bytes:
        content = self.rfile.read(size)
        self.registry.received += len(content)
        return content

    def _answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def strict_uploads() -> Iterator[StrictUploads]:
    registry = StrictUploads()
    thread = threading.Thread(target=registry.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield registry
    finally:
        registry.server.shutdown()
        thread.join()
        registry.server.server_close()

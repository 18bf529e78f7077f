"""moto's S3 server as a process of its own, which misbehaves on request: python -m tests.s3_server PORT.

POST /_faults {"kinds": {"slow down": 0.2, "reset": 0.1, "cut": 0.1}, "seed": 1} sets probabilities per request; {"kinds": {}} ends them.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Environ = dict[str, Any]
Start = Callable[..., Any]

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Nothing is written: a test that fails says what it sent itself."""


class Faulty:
    """Half of the resets come after the request had its effect, as on a real network."""

    def __init__(self) -> None:
        self._inner = DomainDispatcherApplication(create_backend_app)
        self._kinds: dict[str, float] = {}
        self._dice = random.Random()

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/_faults":
            return self._configure(environ, start)
        match self._pick():
            case "slow down":
                _read_body(environ)
                start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
                return [SLOW_DOWN]
            case "reset":
                return self._reset(environ, start)
            case "cut" if environ["REQUEST_METHOD"] == "GET":
                return self._cut(environ, start)
        answer: Iterable[bytes] = self._inner(environ, start)
        return answer

    def _configure(self, environ: Environ, start: Start) -> Iterable[bytes]:
        said = json.loads(_read_body(environ))
        self._kinds = said["kinds"]
        self._dice.seed(said.get("seed", 1))
        start("204 No Content", [])
        return []

    def _pick(self) -> str:
        point = self._dice.random()
        for kind, probability in self._kinds.items():
            point -= probability
            if point < 0:
                return kind
        return ""

    def _reset(self, environ: Environ, start: Start) -> Iterable[bytes]:
        if self._dice.random() < 0.5:
            list(self._inner(environ, lambda *_, **__: lambda _: None))
        connection = environ["werkzeug.socket"]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())
        raise ConnectionResetError

    def _cut(self, environ: Environ, start: Start) -> Iterable[bytes]:
        body = b"".join(self._inner(environ, start))
        yield body[: len(body) // 2]
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


def _read_body(environ: Environ) -> bytes:
    found: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return found


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), Faulty(), threaded=True, request_handler=Handler).serve_forever()

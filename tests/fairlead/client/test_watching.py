"""Watching a record goes on over a restart of the server, and gives up in words when it stays away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairlead.client import images, watching
from fairlead.client.transport import Transport
from fairlead.errors import Unavailable
from tests.live import free_port

IMAGE = {
    "id": "1",
    "name": "churn",
    "state": "running",
    "serial": 1,
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "models": [],
    "tags": {},
}


@contextmanager
def answering(port: int, said: dict[str, object]) -> Iterator[threading.Event]:
    """A server that says one thing; the event is set once it has been asked."""
    asked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            asked.set()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_restarts_is_waited_for() -> None:
    port = free_port()
    with Transport(f"http://127.0.0.1:{port}", "token") as transport:
        with answering(port, IMAGE):
            seen = images.changes(transport, "1")
            assert next(seen).state == "running"
        found: list[str] = []
        watcher = threading.Thread(target=lambda: found.extend(each.state for each in seen))
        watcher.start()
        with answering(port, {**IMAGE, "state": "ready", "serial": 2}):
            watcher.join(timeout=watching.PATIENCE)
        assert found == ["ready"]


def test_one_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.0)
    with Transport(f"http://127.0.0.1:{free_port()}", "token") as transport, pytest.raises(Unavailable, match="What was asked for goes on when it is back"):
        list(images.changes(transport, "1"))


def test_a_time_limit_counts_while_it_is_away() -> None:
    with Transport(f"http://127.0.0.1:{free_port()}", "token") as transport, pytest.raises(Unavailable):
        list(images.changes(transport, "1", timeout=0.1))

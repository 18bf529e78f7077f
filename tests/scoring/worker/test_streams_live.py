"""Streaming and async scripts over real HTTP: chunks, events, and what a client learns when a stream breaks."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest

from tests.live import Launcher, Reply, Service

SYNC = """
import sys
def init(): pass
def run(data):
    if data == 'early': raise ValueError('early')
    yield 'one\\n'
    if data == 'late': raise ValueError('late')
    if data == 'exit': sys.exit(3)
    yield {'two': 2}
"""
ASYNC = """
import sys
def init(): pass
async def run(data):
    if data == 'early': raise ValueError('early')
    if data == 'ended': sys.exit(4)
    if data == 'object': return object()
    if data == 'plain': return [1]
    if data == 'iterator': return iter(['a', 'b'])
    return each(data)
async def each(data):
    yield 'one\\n'
    if data == 'late': raise ValueError('late')
    if data == 'exit': sys.exit(3)
    yield {'two': 2}
"""
SCRIPTS = {"plain": SYNC, "async": ASYNC}
EVENTS = {"Accept": "text/event-stream"}
SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
BROKEN = b'\n\nevent: error\ndata: {"message": "An unexpected error ended the stream. Check the logs for more info."}\n\n'


@pytest.fixture(params=SCRIPTS)
def service(request: pytest.FixtureRequest, serve: Launcher, tmp_path: Path) -> Service:
    (tmp_path / "score.py").write_text(SCRIPTS[request.param])
    return serve("--entry-script", tmp_path / "score.py", cwd=tmp_path)


def said(reply: Reply) -> tuple[int, str, str]:
    return reply.status, reply.headers["content-type"], reply.headers["x-ms-run-function-failed"]


def test_streams_and_how_they_break(service: Service) -> None:
    whole = service.post("/score", "x")
    assert said(whole) == (200, "application/octet-stream", "False")
    assert (whole.headers["transfer-encoding"], whole.body) == ("chunked", b'one\n{"two": 2}\n')
    events = service.post("/score", "x", EVENTS)
    assert said(events) == (200, "text/event-stream", "False")
    assert events.body == b'data: one\ndata: \n\ndata: {"two": 2}\n\n'

    early = service.post("/score", "early", EVENTS)
    assert said(early) == (500, "application/json", "True")
    assert early.json() == {"message": SCRIPT_FAILED}

    for body in ("late", "exit"):
        with pytest.raises(http.client.IncompleteRead) as cut:
            service.post("/score", body)
        assert cut.value.partial == b"one\n"
        assert service.post("/score", body, EVENTS).body == f'data: one\ndata: \n\nevent: error\ndata: {{"message": "{SCRIPT_FAILED}"}}\n\n'.encode()
    assert not [line for line in service.log_lines if "exited with" in line], "sys.exit in a stream ends the stream, not the worker"
    assert service.wait_log("run() raised ValueError: late")
    assert service.wait_log("run() raised Exited: SystemExit(3)")


def test_an_async_run_answers_whatever_it_returns(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(ASYNC)
    service = serve("--entry-script", tmp_path / "score.py", cwd=tmp_path)
    plain = service.post("/score", "plain")
    assert plain.json() == [1]
    assert float(plain.headers["x-ms-run-fn-exec-ms"]) >= 0
    assert service.post("/score", "iterator", EVENTS).body == b"data: a\n\ndata: b\n\n"
    assert said(service.post("/score", "object")) == (500, "application/json", "False")
    ended = service.post("/score", "ended")
    assert said(ended) == (500, "application/json", "True")
    assert "x-ms-run-fn-exec-ms" not in ended.headers
    refused = service.post("/score", b"\xff")
    assert refused.status == 400
    assert "x-ms-run-fn-exec-ms" not in refused.headers


def test_a_worker_that_dies_in_a_stream_of_events_is_told_of_in_it(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("import os\ndef init(): pass\ndef run(data):\n    yield 'one'\n    os._exit(9)\n")
    service = serve("--entry-script", tmp_path / "score.py", cwd=tmp_path)
    assert service.post("/score", "x", EVENTS).body == b"data: one\n\n" + BROKEN
    with pytest.raises(http.client.IncompleteRead):
        service.post("/score", "x")

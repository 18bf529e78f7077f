"""What one client can cost: sizes, times, and how a refused one is let go (ADR 4)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.scoring.front.wire import Wire, get, post, wire

Hold = Callable[[Wire], Wire]


def test_headers_are_limited_while_they_arrive(hold: Hold) -> None:
    client = hold(wire(headers=1000)).connect()
    client.send(get("/version", "x: " + "a" * 1000))
    assert client.statuses == [431]
    assert b"1000 bytes" in client.responses()[0].body


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nhost: a\r\nx: "])
def test_a_header_or_url_without_end_is_not_held(hold: Hold, start: bytes) -> None:
    client = hold(wire()).connect()
    client.send(start)
    sent = 0
    while not client.transport.sent and sent < 10 << 20:
        client.send(b"a" * 65536)
        sent += 65536
    assert client.statuses == [431]
    assert sent <= 512 * 1024


def test_a_trailer_without_end_is_not_held(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(get("/score", "transfer-encoding: chunked", method="POST") + b"0\r\nx: ")
    sent = 0
    while not client.transport.sent and sent < 10 << 20:
        client.send(b"a" * 65536)
        sent += 65536
    assert client.statuses == [431]


def test_many_headers_are_refused(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(get("/version", *(f"x-{number}: 1" for number in range(201))))
    assert client.statuses == [431]


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_is_limited_before_it_is_read_or_while_it_is(hold: Hold, framing: str) -> None:
    client = hold(wire(body=100_000)).connect()
    if framing == "length":
        client.send(get("/score", "content-length: 100001", method="POST"))
    else:
        client.send(get("/score", "transfer-encoding: chunked", method="POST"))
        client.send(b"186a1\r\n" + b"a" * 100_001)
    (response,) = client.responses()
    assert (response.status, response.headers["connection"]) == (413, "close")
    assert "100000 bytes" in json.loads(response.body)["message"]


def test_all_bodies_together_are_limited(hold: Hold) -> None:
    one = hold(wire(buffered=1000))
    first, second = one.connect(), one.connect()
    first.send(post(b"a" * 900)[:-1])
    second.send(post(b"a" * 900)[:-1])
    assert (first.statuses, second.statuses) == ([], [429])
    assert one.front.buffered < 1000
    second.leave()
    first.leave()
    assert one.front.buffered == 0


def test_a_small_body_that_is_not_wanted_is_read_and_the_connection_kept(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(post(b"a" * 1000, path="/nothing") + get("/version"))
    assert client.statuses == [404, 200]
    assert not client.transport.ended


def test_after_an_early_refusal_the_rest_is_thrown_away_until_the_client_closes(hold: Hold) -> None:
    """Closing at once would reset the connection, and the client would never see the 413."""
    client = hold(wire(body=70_000)).connect()
    client.send(get("/score", "content-length: 80000", method="POST"))
    assert client.transport.has_sent_eof
    assert not client.transport.ended
    client.send(b"a" * 80_000)
    assert client.statuses == [413]
    assert client.connection.eof_received() is False


def test_lingering_has_an_end(hold: Hold) -> None:
    one = hold(wire(body=1000, linger=5.0))
    slow, flood = one.connect(), one.connect()
    for client in (slow, flood):
        client.send(get("/score", "content-length: 999999", method="POST"))
    piece = b"a" * (1 << 20)
    for _ in range(65):
        flood.send(piece)
    one.pass_time(4)
    assert [flood.transport.ended, slow.transport.ended] == ["aborted", ""]
    one.pass_time(2)
    assert slow.transport.ended == "aborted"


def test_slow_headers_and_slow_bodies_are_408_and_a_steady_upload_is_not(hold: Hold) -> None:
    one = hold(wire(header_time=10.0, body_rate=1024))
    heads, bodies, steady = one.connect(), one.connect(), one.connect()
    heads.send(b"GET / HT")
    bodies.send(get("/score", "content-length: 99999", method="POST"))
    steady.send(get("/score", "content-length: 99999", method="POST"))
    for _ in range(11):
        bodies.send(b"a")
        steady.send(b"a" * 1024)
        one.pass_time(1)
    assert [client.statuses for client in (heads, bodies, steady)] == [[408], [408], []]
    assert "x-request-id" in heads.responses()[0].headers


def test_an_idle_connection_is_closed_after_its_time_and_a_busy_one_is_not(hold: Hold) -> None:
    one = hold(wire(keep_alive=75.0, deadline=1000.0, wait=1000.0))
    one.add_worker()
    idle, busy = one.connect(), one.connect()
    idle.send(get("/version"))
    busy.send(post(b"slow"))
    one.pass_time(76)
    assert [client.transport.ended for client in (idle, busy)] == ["closed", ""]


def test_a_reader_that_takes_nothing_is_dropped_and_a_slow_one_is_not(hold: Hold) -> None:
    one = hold(wire(write_stall=60.0))
    stuck, slow = one.connect(), one.connect()
    for client in (stuck, slow):
        client.transport.unsent = 2 << 20
        client.connection.pause_writing()
    for _ in range(10):
        slow.transport.unsent -= 100_000
        one.pass_time(10)
    assert (stuck.transport.ended, slow.transport.ended) == ("aborted", "")

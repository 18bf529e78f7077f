"""HTTP/1.1 as one connection speaks it (ADR 5): order, framing, limits, and how a connection ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fairlead_scoring.front.protocol import PIPELINE_MOST

from tests.scoring.front.wire import Wire, get, post, wire

Hold = Callable[[Wire], Wire]


def test_a_connection_is_kept_and_answers_one_after_the_other(hold: Hold) -> None:
    client = hold(wire()).connect()
    for count in (1, 2, 3):
        client.send(get("/version"))
        assert client.statuses == [200] * count
    assert not client.transport.ended


def test_pipelined_requests_are_answered_in_their_order_though_later_ones_are_quicker(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(post(b"first") + get("/version") + post(b"third") + get("/nothing"))
    assert client.statuses == []
    one.answer(one.asked()[0], b'"1"')
    assert client.statuses == [200, 200]
    one.answer(one.asked()[0], b'"3"')
    assert [response.status for response in client.responses()] == [200, 200, 200, 404]
    assert [response.body for response in client.responses()][::2] == [b'"1"', b'"3"']


def test_a_long_pipeline_is_walked_without_recursion(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(post(b"slow") + get("/version") * PIPELINE_MOST)
    assert client.transport.is_reading_paused
    one.answer(one.asked()[0])
    assert client.statuses == [200] * (PIPELINE_MOST + 1)
    assert not client.transport.is_reading_paused


def test_a_flood_in_one_read_is_refused_once_and_not_stored(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(post(b"slow") + get("/version") * 8000)
    assert len(client.connection.pipeline) <= PIPELINE_MOST + 2
    client.send(get("/version") * 8000)
    one.answer(one.asked()[0])
    assert client.statuses[0] == 200
    assert client.statuses[-1] == 429
    assert client.statuses.count(429) == 1
    assert client.transport.has_sent_eof


def test_http_1_0_is_answered_and_closed(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(b"GET /version HTTP/1.0\r\n\r\n")
    (response,) = client.responses()
    assert (response.status, response.headers["connection"]) == (200, "close")
    assert client.transport.ended == "closed"


def test_connection_close_is_honoured(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(get("/version", "connection: close"))
    assert client.responses()[0].headers["connection"] == "close"
    assert client.transport.ended == "closed"


@pytest.mark.parametrize(("path", "status"), [("/livez", 200), ("/", 503), ("/readyz", 503), ("/version", 200), ("/score", 405), ("/none", 404)])
def test_head_has_the_headers_of_get_and_no_body(hold: Hold, path: str, status: int) -> None:
    client = hold(wire()).connect()
    client.send(get(path, method="HEAD"))
    (response,) = client.responses(to_head=True)
    assert response.status == status
    assert int(response.headers["content-length"]) > 0
    assert client.transport.sent.endswith(b"\r\n\r\n")


def test_100_continue_comes_before_the_body_and_only_in_its_turn(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(post(b"first") + post(b"second", "expect: 100-continue")[: -len(b"second")])
    assert client.statuses == []
    one.answer(one.asked()[0])
    assert client.statuses == [200, 100]
    client.send(b"second")
    one.answer(one.asked()[0])
    assert client.statuses == [200, 100, 200]


def test_a_refusal_takes_the_place_of_100_continue(hold: Hold) -> None:
    client = hold(wire(body=10)).connect()
    client.send(get("/score", "content-length: 11", "expect: 100-continue", method="POST"))
    assert client.statuses == [413]
    assert client.transport.has_sent_eof


def test_an_unknown_expectation_is_refused(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(get("/version", "expect: the-unexpected"))
    assert client.statuses == [417]


def test_a_chunked_body_arrives_whole_and_its_trailers_are_no_headers(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker(headers=True)
    client = one.connect()
    client.send(get("/score", "transfer-encoding: chunked", method="POST"))
    for piece in (b"3\r\nabc\r\n", b"2;a=b\r\nde\r\n", b"0\r\nauthorization: smuggled\r\n\r\n"):
        client.send(piece)
    (asked,) = one.asked()
    assert bytes(asked.request.body) == b"abcde"
    assert b"authorization" not in dict(asked.request.headers)
    one.answer(asked)
    assert client.statuses == [200]


UPGRADE = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA")


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_an_offer_to_upgrade_is_ignored_and_its_body_read(hold: Hold, size: int) -> None:
    """As Java's HTTP client sends its first request on every connection."""
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    data = post(b'{"a": 1}', *UPGRADE) + get("/version", *UPGRADE) + post(b"", *UPGRADE)
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    (asked,) = one.asked()
    assert bytes(asked.request.body) == b'{"a": 1}'
    one.answer(asked)
    one.answer(one.asked()[0])
    assert client.statuses == [200, 200, 200]
    assert not client.transport.ended


def test_an_offer_to_upgrade_with_a_chunked_body(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(get("/score", *UPGRADE, "transfer-encoding: chunked", method="POST") + b"3\r\nabc\r\n0\r\n\r\n" + get("/version"))
    (asked,) = one.asked()
    assert bytes(asked.request.body) == b"abc"
    one.answer(asked)
    assert client.statuses == [200, 200]


def test_connect_is_refused_and_nothing_after_it_is_read(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n" + get("/version"))
    assert client.statuses == [404]
    assert client.transport.ended or client.transport.has_sent_eof


@pytest.mark.parametrize(
    ("target", "status"),
    [("http://a:1/version", 200), ("http://a/version?x=1", 200), ("http://a", 503), ("/%76ersion", 200), ("/version%2f", 404), ("/%ff", 404), ("//", 404)],
)
def test_forms_of_a_url(hold: Hold, target: str, status: int) -> None:
    client = hold(wire()).connect()
    client.send(get(target))
    assert client.statuses == [status]


def test_options_star_asks_about_the_server(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(get("*", method="OPTIONS"))
    (response,) = client.responses()
    assert (response.status, response.headers["allow"]) == (200, "OPTIONS")


@pytest.mark.parametrize(("hosts", "version", "status"), [(0, "1.1", 400), (2, "1.1", 400), (1, "1.1", 200), (0, "1.0", 200)])
def test_a_request_has_one_host(hold: Hold, hosts: int, version: str, status: int) -> None:
    client = hold(wire()).connect()
    client.send(f"GET /version HTTP/{version}\r\n".encode() + b"host: a\r\n" * hosts + b"x: 1\r\n\r\n")
    assert client.statuses == [status]


SHAPES = {
    "length and chunked": (b"content-length: 3\r\ntransfer-encoding: chunked\r\n", 400),
    "chunked and length": (b"transfer-encoding: chunked\r\ncontent-length: 3\r\n", 400),
    "two lengths": (b"content-length: 3\r\ncontent-length: 4\r\n", 400),
    "the same length twice": (b"content-length: 3\r\ncontent-length: 3\r\n", 400),
    "a list of lengths": (b"content-length: 3, 3\r\n", 400),
    "a signed length": (b"content-length: +3\r\n", 400),
    "chunked in disguise": (b"transfer-encoding: xchunked\r\n", 501),
    "chunked and identity": (b"transfer-encoding: chunked, identity\r\n", 400),
    "chunked twice": (b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", 400),
    "gzip in chunks": (b"transfer-encoding: gzip, chunked\r\n", 501),
    "a space before the colon": (b"transfer-encoding : chunked\r\n", 400),
    "a folded line": (b"x-a: b\r\n c: d\r\n", 400),
    "a bare line feed": (b"x-a: b\nx-c: d\r\n", 400),
    "a bare carriage return": (b"x-a: b\rx-c: d\r\n", 400),
    "a zero byte": (b"x-a: b\0c\r\n", 400),
    "a nameless header": (b": b\r\n", 400),
    "an endless chunk": (b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    "a negative chunk": (b"transfer-encoding: chunked\r\n\r\n-1\r\n", 400),
    "a chunk with a bare line feed": (b"transfer-encoding: chunked\r\n\r\n3\nabc\r\n", 400),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_request_whose_end_is_in_doubt_is_refused_and_nothing_after_it_is_read(hold: Hold, shape: str) -> None:
    lines, status = SHAPES[shape]
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(b"POST /score HTTP/1.1\r\nhost: a\r\n" + lines + b"\r\n" + b"0\r\n\r\n" + get("/version"))
    client.send(get("/version"))
    one.turn()
    (response,) = client.responses()
    assert (response.status, response.headers["connection"]) == (status, "close")
    assert client.transport.has_sent_eof or client.transport.ended
    assert one.front.pool.in_flight == 0


@pytest.mark.parametrize(("version", "status"), [("2.0", 505), ("0.9", 505), ("1.2", 400), ("3", 400)])
def test_other_versions_of_http(hold: Hold, version: str, status: int) -> None:
    client = hold(wire()).connect()
    client.send(get("/version", version=version))
    assert client.statuses == [status]
    assert client.transport.has_sent_eof or client.transport.ended


def test_what_is_wrong_behind_a_running_request_is_answered_after_it_and_once(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(post(b"good") + b"nonsense\r\n\r\n")
    client.send(b"more nonsense\r\n\r\n")
    assert client.statuses == []
    one.answer(one.asked()[0])
    assert client.statuses == [200, 400]
    assert "x-request-id" in client.responses()[1].headers


def test_a_half_closed_client_gets_the_answer_that_a_worker_is_at(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(post(b"1"))
    assert client.connection.eof_received() is True
    one.answer(one.asked()[0], b'"1"')
    (response,) = client.responses()
    assert (response.status, response.headers["connection"]) == (200, "close")
    assert client.transport.ended == "closed"


def test_a_half_closed_client_that_would_have_to_wait_is_given_up(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    first, second = one.connect(), one.connect()
    first.send(post(b"1"))
    one.turn()
    second.send(post(b"2"))
    second.connection.eof_received()
    one.turn()
    assert second.transport.ended == "closed"
    second.leave()
    assert one.front.pool.waiting_count == 0
    assert one.front.pool.cancelled == 1
    one.answer(one.asked()[0])
    assert first.statuses == [200]
    assert '"status":499' in one.log()


def test_too_many_connections_are_told_so(hold: Hold) -> None:
    one = hold(wire(connections=1))
    first, second = one.connect(), one.connect()
    first.send(get("/version"))
    second.send(get("/version"))
    assert (first.statuses, second.statuses) == ([200], [503])
    assert second.responses()[0].headers["retry-after"] == "2"


def test_a_draining_front_ends_each_connection_with_its_answer(hold: Hold) -> None:
    one = hold(wire())
    client = one.connect()
    client.send(get("/version"))
    one.front.draining = True
    client.send(get("/version"))
    assert [response.headers.get("connection") for response in client.responses()] == [None, "close"]
    assert client.transport.ended == "closed"

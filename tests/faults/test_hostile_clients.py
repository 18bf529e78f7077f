"""R10: slow, huge, malformed and explosive input: refused or timed out, while neighbours are served."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from functools import cache

import pytest

from tests import hostile
from tests.faults.scripts import TYPED, same_tag
from tests.faults.subject import Subjects
from tests.hostile import Heard, head, request
from tests.traffic import Plan, Traffic
from tests.waiting import until

MIB = 1024 * 1024
CHUNK = b"%x\r\n%b\r\n" % (65536, b"x" * 65536)


def oversized_announced(port: int) -> Heard:
    return hostile.flood(port, head(port, "content-length: 10000000000"), b"x" * 65536, most=200 * MIB, seconds=10)


def oversized_chunked(port: int) -> Heard:
    first = head(port, "transfer-encoding: chunked", "content-type: application/json")
    return hostile.flood(port, first, CHUNK, most=300 * MIB, seconds=15)


def many_headers(port: int) -> Heard:
    return hostile.exchange(port, head(port, *(f"x-{number}: 1" for number in range(100_000)), "content-length: 0"))


def one_long_header(port: int) -> Heard:
    return hostile.exchange(port, head(port, "x-long: " + "a" * 20 * MIB, "content-length: 0"))


def endless_target(port: int) -> Heard:
    return hostile.flood(port, b"POST /score?", b"a" * 65536, most=64 * MIB, seconds=5)


@cache
def bomb() -> bytes:
    """300 MiB of JSON in 300 KiB."""
    machine = zlib.compressobj(wbits=31)
    zeros = b"0" * MIB
    parts = [machine.compress(b'{"tag": 1, "values": ['), *(machine.compress(zeros) for _ in range(300)), machine.flush()]
    return b"".join(parts)


def gzip_bomb(port: int) -> Heard:
    return hostile.exchange(port, request(port, bomb(), "content-encoding: gzip"))


def bad_gzip(port: int) -> Heard:
    return hostile.exchange(port, request(port, b"\x1f\x8b not gzip at all", "content-encoding: gzip"))


def bad_utf8(port: int) -> Heard:
    return hostile.exchange(port, request(port, b'{"tag": 1, "x": "\xff\xfe"}'))


def deep_json(port: int) -> Heard:
    return hostile.exchange(port, request(port, b'{"tag": 1, "values": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"))


def not_a_number(port: int) -> Heard:
    return hostile.exchange(port, request(port, b'{"tag": 1, "values": [NaN, Infinity]}'))


def huge_integer(port: int) -> Heard:
    return hostile.exchange(port, request(port, b'{"tag": ' + b"9" * 1_000_000 + b"}"))


def two_lengths(port: int) -> Heard:
    return hostile.exchange(port, head(port, "content-length: 3", "content-length: 30") + b"abc")


def length_and_chunks(port: int) -> Heard:
    return hostile.exchange(port, head(port, "content-length: 3", "transfer-encoding: chunked") + b"0\r\n\r\n")


def not_http(port: int) -> Heard:
    return hostile.exchange(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 8)


@pytest.mark.parametrize(
    ("attack", "statuses"),
    [
        (oversized_announced, {413}),
        (oversized_chunked, {413}),
        (many_headers, {431}),
        (one_long_header, {431}),
        (endless_target, {414, 431, 400}),
        (gzip_bomb, {413, 400}),
        (bad_gzip, {400}),
        (bad_utf8, {400}),
        (deep_json, {400}),
        (not_a_number, {400}),
        (huge_integer, {400}),
        (two_lengths, {400}),
        (length_and_chunks, {400}),
        (not_http, {400}),
    ],
)
def test_bad_input_is_the_callers_error_and_neighbours_do_not_notice(subject: Subjects, attack: Callable[[int], Heard], statuses: set[int]) -> None:
    bomb()  # made before the clocks run
    service = subject(TYPED)
    resident, spent = service.resident(), service.front_spent()
    with Traffic(Plan(port=service.port, rate=50, connections=4, check=same_tag, seconds=60)) as traffic:
        until(lambda: traffic.answered() > 20, "traffic")
        with traffic.marked("attack"):
            heard = attack(service.port)
            resident_after, spent_after = service.resident(), service.front_spent()
            answered = traffic.answered()
            until(lambda: traffic.answered() > answered + 20, "more traffic")
    assert set(heard.statuses) <= statuses, heard.data[:300]
    assert len(heard.statuses) == 1 or (heard.was_closed and not heard.data), heard.data[:300]
    assert resident_after - resident < 64 * MIB + 2 * 100 * MIB * (attack is oversized_chunked)
    assert not traffic.record().failed(), traffic.record().explain()
    assert spent_after - spent < 1.0, "seconds of a processor in which the front could serve nobody else"
    assert traffic.window("attack").percentile(0.99) < 9.0, "a neighbour waited for the attack to end"
    assert b"Traceback" not in heard.data


def test_slow_clients_are_shown_out_and_neighbours_do_not_notice(subject: Subjects, long: bool) -> None:
    service = subject(TYPED)
    clients = 200 if long else 20
    before = service.descriptors()
    heard: list[Heard] = []

    def head_drop_by_drop() -> None:
        pieces = [b"POST /score HTTP/1.1\r\n", *(b"x-%d: 1\r\n" % number for number in range(1000))]
        heard.append(hostile.trickle(service.port, pieces, pause=0.5, seconds=60))

    def body_drop_by_drop() -> None:
        pieces = [head(service.port, "content-length: 100000"), *([b"x"] * 1000)]
        heard.append(hostile.trickle(service.port, pieces, pause=1.0, seconds=60))

    threads = [threading.Thread(target=target) for target in (head_drop_by_drop, body_drop_by_drop) for _ in range(clients // 2)]
    with Traffic(Plan(port=service.port, rate=50, connections=4, check=same_tag, seconds=120)) as traffic:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
    assert len(heard) == clients
    assert all(one.was_closed and set(one.statuses) <= {408} for one in heard), [one.data[:80] for one in heard if not one.was_closed]
    assert all(one.seconds > 9.0 for one in heard), [round(one.seconds, 1) for one in heard]
    assert not traffic.record().failed(), traffic.record().explain()
    until(lambda: service.descriptors() <= before, "their descriptors to be closed")


def test_a_client_that_does_not_read_its_answer_does_not_fill_the_front(subject: Subjects) -> None:
    """512 answers of 1 MiB for a client that reads none of them: pipelining stops, memory does not grow with it."""
    script = 'def init(): pass\ndef run(data):\n    return "x" * (1 << 20)\n'
    service = subject(script)
    resident = service.resident()
    with hostile.connected(service.port, receive_buffer=4096) as connection:
        connection.settimeout(0.5)
        sent = _send_until_full(connection.send, request(service.port, b"{}") * 8, most=64)
        grown = service.resident() - resident
        assert service.service.post("/score", {}).status == 200
    assert sent > 0
    assert grown < 96 * MIB, f"{grown / MIB:.0f} MiB held for one client"


def _send_until_full(send: Callable[[bytes], int], data: bytes, *, most: int) -> int:
    sent = 0
    for _ in range(most):
        try:
            sent += send(data)
        except TimeoutError:
            break
    return sent

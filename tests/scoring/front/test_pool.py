"""One queue for all workers: who waits, who is refused, what becomes of requests whose worker or client goes, and deadlines."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from fairlead_scoring.worker import link
from fairlead_scoring.worker.batch_frame import Answered, Asked, pack_answer
from fairlead_scoring.worker.link import Frame

from tests.scoring.front.wire import Client, Wire, post, wire

Hold = Callable[[Wire], Wire]
BATCHING = {"max_rows": 8, "max_wait_ms": 0.0, "parameter": "data"}


def run_until(one: Wire, fact: Callable[[], Any], what: str) -> None:
    async def wait() -> None:
        give_up = time.monotonic() + 60
        while not fact():
            assert time.monotonic() < give_up, what
            await asyncio.sleep(0.005)

    one.loop.run_until_complete(wait())


def ask(one: Wire, body: bytes = b"{}") -> Client:
    client = one.connect()
    client.send(post(body))
    one.turn()
    return client


def heard(one: Wire, ident: str = "w1") -> list[Frame]:
    """Everything that the worker has been sent and has not yet read."""
    one.turn()
    end = one.workers[ident]
    frames = []
    end.sock.setblocking(False)
    while True:
        try:
            frames.append(end.receive())
        except link.LinkClosed:
            end.sock.settimeout(5)
            return frames


def stream(one: Wire, asked: Asked) -> None:
    answered = Answered(asked.ident, 200, False, True, [("content-type", "text/plain")], b"", 1.0, 1)
    one.workers["w1"].send(link.ANSWERS, pack_answer(answered, 0))
    one.turn()


def chunk(one: Wire, asked: Asked, data: bytes) -> None:
    one.workers["w1"].send(link.CHUNK, data, ident=asked.ident)
    one.turn()


# Waiting.
def test_before_the_first_worker_a_request_is_refused_at_once(hold: Hold) -> None:
    one = hold(wire())
    (response,) = ask(one).responses()
    assert (response.status, response.headers["retry-after"]) == (503, "2")
    assert "starting" in json.loads(response.body)["message"]


def test_later_a_request_waits_for_a_worker_that_is_expected(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker("w1").close()
    run_until(one, lambda: not one.front.pool.workers, "the worker's end to be seen")
    client = ask(one)
    assert client.statuses == []
    one.add_worker("w2")
    one.answer(one.asked("w2")[0], ident="w2")
    assert client.statuses == [200]


def test_nobody_waits_for_a_worker_that_is_not_expected(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker("w1").close()
    run_until(one, lambda: not one.front.pool.workers, "the worker's end to be seen")
    one.front.pool.expects_worker = False
    assert ask(one).statuses == [503]


def test_a_request_waits_only_so_long(hold: Hold) -> None:
    one = hold(wire(wait=0.1))
    one.add_worker()
    running, waiting = ask(one), ask(one)
    run_until(one, lambda: waiting.statuses, "the wait to end")
    (response,) = waiting.responses()
    assert (response.status, response.headers["retry-after"]) == (503, "2")
    assert running.statuses == []
    assert one.front.pool.waiting_count == 0


def test_a_full_queue_refuses_the_newcomer_at_once(hold: Hold) -> None:
    one = hold(wire(waiting=2))
    one.add_worker()
    running, first, second, third = (ask(one) for _ in range(4))
    assert [client.statuses for client in (running, first, second, third)] == [[], [], [], [429]]
    assert third.responses()[0].headers["retry-after"] == "1"
    for client in (running, first, second):
        one.answer(one.asked()[0])
        assert client.statuses == [200]


def test_a_client_that_goes_while_it_waits_costs_nothing(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    ask(one)
    clients = [ask(one, b"%d" % number) for number in range(50)]
    for client in clients[:-1]:
        client.leave()
    assert (one.front.pool.waiting_count, one.front.pool.cancelled) == (1, 49)
    one.answer(one.asked()[0])
    assert bytes(one.asked()[0].request.body) == b"49"
    assert one.log().count('"status":499') == 49


# Workers that end.
def test_a_dead_worker_costs_what_it_had_and_not_what_waited(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker("w1")
    running, waiting = ask(one, b"1"), ask(one, b"2")
    one.workers["w1"].close()
    run_until(one, lambda: running.statuses, "the answer for the lost request")
    one.add_worker("w2")
    (asked,) = one.asked("w2")
    assert bytes(asked.request.body) == b"2"
    one.answer(asked, ident="w2")
    assert [running.statuses, waiting.statuses] == [[503], [200]]


def test_a_worker_whose_link_a_child_holds_open_is_lost_when_the_supervisor_says_so(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker("w1")
    running = ask(one)
    kept = os.dup(one.workers["w1"].fileno())
    one.workers["w1"].close()
    one.turn()
    assert running.statuses == []
    one.front.pool.lost("w1")
    assert running.statuses == [503]
    os.close(kept)


def test_the_last_answers_of_a_worker_that_has_ended_are_still_given(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker("w1")
    client = ask(one)
    (asked,) = one.asked()
    one.workers["w1"].send(link.ANSWERS, pack_answer(Answered(asked.ident, 200, False, False, [], b"", 1.0, 1), 2) + b"{}")
    one.front.pool.lost("w1")
    assert client.statuses == [200]


def test_a_retiring_worker_gets_nothing_more_and_gives_its_last_answer(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker("w1")
    client = ask(one)
    one.front.pool.retire("w1")
    waiting = ask(one)
    assert one.told == []
    one.answer(one.asked()[0])
    assert client.statuses == [200]
    assert one.told == [(link.RETIRED, {"worker": "w1"})]
    assert waiting.statuses == []


# Deadlines.
def test_a_late_run_is_answered_for_and_its_worker_comes_back_when_it_answers(hold: Hold) -> None:
    one = hold(wire(deadline=0.1))
    one.add_worker()
    late = ask(one)
    run_until(one, lambda: late.statuses, "the deadline")
    (response,) = late.responses()
    assert (response.status, json.loads(response.body)) == (500, {"message": "Scoring timeout after 100 ms"})
    assert response.headers["x-ms-run-function-failed"] == "True"
    assert [kind for kind, _ in one.told] == [link.OVERDUE]
    waiting = ask(one)
    one.answer(one.asked()[0])
    assert [kind for kind, _ in one.told] == [link.OVERDUE, link.RECOVERED]
    one.answer(one.asked()[0])
    assert [late.statuses, waiting.statuses] == [[500], [200]]


def test_every_request_of_a_late_batch_is_answered_for_once(hold: Hold) -> None:
    one = hold(wire(deadline=0.1))
    one.add_worker(batching=BATCHING)
    clients = [one.connect() for _ in range(4)]
    for client in clients:
        client.send(post(b"{}"))
    assert len(one.asked()) == 4
    run_until(one, lambda: all(client.statuses for client in clients), "the deadline")
    assert [client.statuses for client in clients] == [[500]] * 4
    assert len(one.told) == 1


def test_a_late_coroutine_is_cancelled_and_one_that_will_not_end_costs_its_worker(hold: Hold) -> None:
    one = hold(wire(deadline=0.1))
    one.add_worker(concurrency=8, coroutine=True)
    first = ask(one)
    run_until(one, lambda: first.statuses, "the deadline")
    cancelled = [frame.kind for frame in heard(one)]
    assert cancelled == [link.SCORE, link.CANCEL]
    assert one.told == []
    run_until(one, lambda: one.told, "the worker to be given up")
    assert one.told[0][0] == link.OVERDUE


def test_a_coroutine_whose_client_has_gone_is_cancelled(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker(concurrency=8, coroutine=True)
    client = ask(one)
    client.leave()
    score, cancel = heard(one)
    assert (score.kind, cancel.kind) == (link.SCORE, link.CANCEL)


def test_as_many_coroutines_as_the_worker_takes(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker(concurrency=3, coroutine=True)
    clients = [ask(one) for _ in range(5)]
    first = [frame.kind for frame in heard(one)]
    assert first == [link.SCORE] * 3
    assert one.front.pool.waiting_count == 2
    assert [client.statuses for client in clients] == [[]] * 5


# Batches.
def test_what_waits_together_goes_out_together_and_answers_are_not_swapped(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker(batching=BATCHING)
    first = ask(one, b"first")
    (alone,) = one.asked()
    clients = [ask(one, b"%d" % number) for number in range(10)]
    one.answer(alone)
    batch = one.asked()
    assert [bytes(asked.request.body) for asked in batch] == [b"%d" % number for number in range(8)]
    for asked in reversed(batch):
        one.answer(asked, bytes(asked.request.body))
    for asked in one.asked():
        one.answer(asked, bytes(asked.request.body))
    assert first.statuses == [200]
    assert [client.responses()[0].body for client in clients] == [b"%d" % number for number in range(10)]


# Streams.
def test_a_stream_goes_out_in_chunks_and_each_is_acknowledged(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = ask(one)
    (asked,) = one.asked()
    stream(one, asked)
    chunk(one, asked, b"abc")
    chunk(one, asked, b"")
    chunk(one, asked, b"defg")
    one.workers["w1"].send(link.END, ident=asked.ident)
    one.turn()
    head, _, body = bytes(client.transport.sent).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    assert [frame.kind for frame in heard(one)] == [link.ACK] * 3
    client.send(post(b"next"))
    assert bytes(one.asked()[0].request.body) == b"next"


def test_a_slow_reader_holds_the_acknowledgements_back_and_every_one_comes_in_the_end(hold: Hold) -> None:
    """One that is lost narrows the window for good; sixteen of them end the stream."""
    one = hold(wire())
    one.add_worker()
    client = ask(one)
    (asked,) = one.asked()
    stream(one, asked)
    client.connection.pause_writing()
    for _ in range(5):
        chunk(one, asked, b"abc")
    assert heard(one) == []
    client.connection.resume_writing()
    assert [frame.kind for frame in heard(one)] == [link.ACK] * 5


@pytest.mark.parametrize("end", ["error", "death", "late"])
def test_a_stream_that_cannot_go_on_is_cut_so_that_half_is_not_taken_for_whole(hold: Hold, end: str) -> None:
    one = hold(wire(chunk_wait=0.1))
    one.add_worker()
    client = ask(one)
    (asked,) = one.asked()
    stream(one, asked)
    chunk(one, asked, b"half")
    if end == "error":
        one.workers["w1"].send(link.END, b"ValueError", ident=asked.ident, flags=link.ERROR)
    elif end == "death":
        one.workers["w1"].close()
    run_until(one, lambda: client.transport.ended, "the connection to be cut")
    assert client.transport.ended == "aborted"
    assert not client.transport.sent.endswith(b"0\r\n\r\n")
    record = json.loads(one.log())
    assert (record["level"], record["broken"], record["status"]) == ("error", True, 200)


def test_the_wait_for_a_slow_reader_is_not_the_scripts(hold: Hold) -> None:
    one = hold(wire(chunk_wait=0.1))
    one.add_worker()
    client = ask(one)
    (asked,) = one.asked()
    stream(one, asked)
    client.connection.pause_writing()
    began = time.monotonic()
    run_until(one, lambda: time.monotonic() > began + 0.3, "three times the wait")
    assert not client.transport.ended
    assert one.told == []


def test_a_gone_client_ends_the_scripts_generator(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = ask(one)
    (asked,) = one.asked()
    stream(one, asked)
    client.leave()
    (cancel,) = heard(one)
    assert (cancel.kind, cancel.ident) == (link.CANCEL, asked.ident)
    one.workers["w1"].send(link.END, ident=asked.ident)
    one.turn()
    assert one.front.pool.in_flight == 0


def test_a_stream_to_http_1_0_ends_with_the_connection(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(post(b"{}", version="1.0"))
    (asked,) = one.asked()
    stream(one, asked)
    chunk(one, asked, b"abc")
    one.workers["w1"].send(link.END, ident=asked.ident)
    one.turn()
    head, _, body = bytes(client.transport.sent).partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"chunked" not in head
    assert body == b"abc"
    assert client.transport.ended == "closed"

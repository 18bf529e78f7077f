"""The traffic driver against a server that misbehaves on purpose: what it reports is what happened."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator

import pytest

from tests import hostile
from tests.traffic import Ask, Kind, Plan, Record, Reply, Traffic

REVISION = "x-fairlead-revision: r1\r\n"


class Misbehaving:
    """Answers by what the body asks for: {"tag": 3, "do": "reset"}."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                if not await self._answer(writer, asked["tag"], asked.get("do", "well")):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.transport.abort()

    async def _answer(self, writer: asyncio.StreamWriter, tag: int, do: str) -> bool:
        body = json.dumps(tag + (do == "wrong")).encode()
        size = f"{REVISION}x-request-id: id-{tag}\r\ncontent-length: {len(body)}\r\n".encode()
        chunk = b"%x\r\n%b\r\n" % (len(body), body)
        answers = {
            "reset": b"",
            "half": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[1, 2",
            "half head": b"HTTP/1.1 200 OK\r\nconte",
            "garbage": b"SSH-2.0-x\r\n\r\n",
            "busy": b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + size + b"\r\n" + body,
            "chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n",
            "half chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk,
            "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + size + b"\r\n" + body,
            "close": b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + size + b"\r\n" + body,
            "silence": b"",
        }
        writer.write(answers.get(do, b"HTTP/1.1 200 OK\r\n" + size + b"\r\n" + body))
        await writer.drain()
        if do == "silence":
            await asyncio.sleep(30)
        if do in {"half", "half chunks", "half head"}:
            writer.close()
            await writer.wait_closed()
        return do not in {"reset", "half", "half chunks", "half head", "garbage", "close", "silence"}


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    one = Misbehaving()
    one.start()
    yield one
    one.stop()


def same_tag(ask: Ask, reply: Reply) -> str:
    return "" if json.loads(reply.body) == ask.tag else f"asked {ask.tag}, got {reply.body!r}"


def drive(server: Misbehaving, actions: list[str], *, patience: float = 10.0, connections: int = 1) -> Record:
    def ask(tag: int) -> Ask:
        return Ask(tag=tag, body=json.dumps({"tag": tag, "do": actions[tag]}).encode())

    plan = Plan(port=server.port, connections=connections, requests=len(actions), ask=ask, check=same_tag, patience=patience, seconds=20)
    with Traffic(plan) as traffic:
        return traffic.wait()


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("well", Kind.OK),
        ("chunks", Kind.OK),
        ("continue", Kind.OK),
        ("close", Kind.OK),
        ("wrong", Kind.WRONG),
        ("busy", Kind.STATUS),
        ("reset", Kind.RESET),
        ("half", Kind.TRUNCATED),
        ("half head", Kind.TRUNCATED),
        ("half chunks", Kind.TRUNCATED),
        ("garbage", Kind.MALFORMED),
    ],
)
def test_each_misbehaviour_has_its_name_and_the_next_request_is_unharmed(server: Misbehaving, action: str, kind: Kind) -> None:
    record = drive(server, ["well", action, "well"])
    assert [one.kind for one in record.outcomes] == [Kind.OK, kind, Kind.OK], record.explain()
    assert record.outcomes[1].reused


def test_silence_ends_with_the_patience_of_the_plan(server: Misbehaving) -> None:
    record = drive(server, ["silence", "well"], patience=0.5)
    assert [one.kind for one in record.outcomes] == [Kind.TIMEOUT, Kind.OK]
    assert record.outcomes[0].latency >= 0.5


def test_an_answer_carries_revision_request_id_and_retry_after(server: Misbehaving) -> None:
    record = drive(server, ["busy", "well"])
    assert [(one.status, one.retry_after, one.request_id) for one in record.outcomes] == [(503, "1", "id-0"), (200, "", "id-1")]
    assert record.revisions() == {"r1"}
    assert record.kinds() == {"status 503": 1, "ok": 1}


def test_connections_are_kept_alive_and_not_more_than_planned(server: Misbehaving) -> None:
    record = drive(server, ["well"] * 200, connections=3)
    assert not record.failed(), record.explain()
    assert 1 <= server.connections <= 3


def test_answers_of_other_requests_are_seen(server: Misbehaving) -> None:
    record = drive(server, ["well"] * 50 + ["wrong"] * 3 + ["well"] * 50, connections=4)
    assert [one.tag for one in record.failed()] == [50, 51, 52]


def test_nobody_listening_is_refused_not_a_crash(server: Misbehaving) -> None:
    server.stop()
    record = drive(server, ["well"] * 2)
    assert record.kinds() == {"refused": 2}


def test_a_fixed_rate_is_held_and_latency_counts_from_when_a_request_was_due(server: Misbehaving) -> None:
    def ask(tag: int) -> Ask:
        return Ask(tag=tag, body=json.dumps({"tag": tag, "do": "silence" if tag == 0 else "well"}).encode())

    plan = Plan(port=server.port, connections=1, rate=100, requests=40, ask=ask, patience=0.3)
    with Traffic(plan) as traffic:
        outcomes = traffic.wait().outcomes
    gaps = {round(after.due - before.due, 6) for before, after in itertools.pairwise(outcomes)}
    assert gaps == {0.01}
    assert outcomes[1].latency > 0.2, "the request behind the stalled one waited, and that must show"


def test_a_window_holds_what_was_under_way_in_it(server: Misbehaving) -> None:
    answered = threading.Event()

    def check(ask: Ask, reply: Reply) -> str:
        if ask.tag >= 20:
            answered.set()
        return same_tag(ask, reply)

    with Traffic(Plan(port=server.port, connections=2, rate=200, requests=10_000, check=check)) as traffic:
        assert answered.wait(10)
        with traffic.marked("later"):
            answered.clear()
            assert answered.wait(10)
    inside, everything = traffic.window("later"), traffic.record()
    assert 0 < len(inside.outcomes) < len(everything.outcomes)
    assert min(one.tag for one in inside.outcomes) > 0


def test_a_plan_without_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="bounded"):
        Plan(port=1, requests=10**9)


def test_pipelined_answers_are_counted_in_order(server: Misbehaving) -> None:
    bodies = [b'{"tag": 1}', b'{"tag": 2, "do": "busy"}', b'{"tag": 3, "do": "close"}']
    heard = hostile.exchange(server.port, b"".join(hostile.request(server.port, body) for body in bodies), finish=False)
    assert heard.statuses == [200, 503, 200]
    assert heard.was_closed


def test_a_trickle_stops_when_the_server_answers(server: Misbehaving) -> None:
    body = b'{"tag": 1, "do": "close"}'
    pieces = [bytes([byte]) for byte in hostile.request(server.port, body)] + [b"x"] * 1000
    heard = hostile.trickle(server.port, pieces, pause=0.001, seconds=10)
    assert heard.statuses == [200]
    assert heard.sent < len(pieces)


def test_a_flood_stops_at_its_bound(server: Misbehaving) -> None:
    first = hostile.head(server.port, "content-length: 10000000000")
    heard = hostile.flood(server.port, first, b"x" * 65536, most=1_000_000, seconds=1)
    assert len(first) < heard.sent <= 1_100_000
    assert heard.statuses == []

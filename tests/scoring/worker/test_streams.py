"""Generators become chunks or server-sent events; what fails before the first chunk is an ordinary answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from fairlead_scoring.worker.chunks import begun
from fairlead_scoring.worker.exchange import Answer, Request
from fairlead_scoring.worker.script import Script

from tests.scoring.worker.bench import Bench, bytes_of

INIT = "import asyncio\ndef init(): pass\n"
EACH = "async def each():\n    for one in {}:\n        await asyncio.sleep(0)\n        yield one\n"
ITEMS = "['a', b'\\xff', {'n': 1}, 2.5, None, '']"
PLAIN = {
    "generator": f"def run(data):\n    yield from {ITEMS}\n",
    "iterator": f"def run(data): return iter({ITEMS})\n",
    "map": f"def run(data): return map(lambda one: one, {ITEMS})\n",
    "async generator in a plain run": EACH.format(ITEMS) + "def run(data): return each()\n",
}
EVENTS = {"Accept": "text/html, text/event-stream;q=0.9"}


@pytest.mark.parametrize("run", PLAIN.values(), ids=PLAIN)
def test_items_come_as_chunks(bench: Bench, run: str) -> None:
    answer = bench.answer(bench.load(INIT + run))
    assert list(cast(Any, answer.body)) == [b"a", b"\xff", b'{"n": 1}\n', b"2.5\n", b"null\n", b""]
    assert (answer.status, answer.failed, answer.content_type) == (200, False, "application/octet-stream")


EVENT = {
    "'plain'": b"data: plain\n\n",
    "{'n': 'é'}": b'data: {"n": "\\u00e9"}\n\n',
    "'two\\nlines\\r\\nand\\rmore'": b"data: two\ndata: lines\ndata: and\ndata: more\n\n",
    "'\\n'": b"data: \ndata: \n\n",
    "''": b"data: \n\n",
    "'a\\u2028b'": "data: a\u2028b\n\n".encode(),
    "b'bytes'": b"data: bytes\n\n",
    "'event: token\\ndata: {}\\n\\n'": b"event: token\ndata: {}\n\n",
    "': keep-alive\\n\\n'": b": keep-alive\n\n",
    "'data: looks framed'": b"data: data: looks framed\n\n",
}


@pytest.mark.parametrize("item", EVENT)
def test_a_client_that_asks_gets_server_sent_events(bench: Bench, item: str) -> None:
    answer = bench.answer(bench.load(INIT + f"def run(data):\n    yield {item}\n"), headers=EVENTS)
    assert answer.content_type == "text/event-stream"
    assert bytes_of(answer) == EVENT[item]


@pytest.mark.parametrize("body", ["raise ValueError('early')", "return data.no_such\n    yield 1"])
def test_what_fails_before_the_first_chunk_is_a_500(bench: Bench, body: str) -> None:
    answer = bench.answer(bench.load(INIT + f"def run(data):\n    {body}\n    yield 1\n"))
    assert (answer.status, answer.failed) == (500, True)
    assert b"unexpected error occurred in scoring script" in bytes_of(answer)


def test_nothing_more_than_the_first_item_is_taken_ahead_and_closing_reaches_the_script(bench: Bench) -> None:
    body = "    try:\n        for n in range(9):\n            SEEN.append(n)\n            yield n\n    finally: SEEN.append('closed')\n"
    source = INIT + "SEEN = []\ndef run(data):\n" + body
    script = bench.load(source)
    answer = bench.answer(script)
    seen = cast(Any, script.run).__self__._run.__globals__["SEEN"]
    assert seen == [0]
    assert next(cast(Any, answer.body)) == b"0\n"
    assert next(cast(Any, answer.body)) == b"1\n"
    cast(Any, answer.body).close()
    assert seen == [0, 1, "closed"]


def test_an_empty_stream_is_an_empty_body(bench: Bench) -> None:
    assert bytes_of(bench.answer(bench.load(INIT + "def run(data):\n    return\n    yield\n"))) == b""


def test_a_list_is_no_stream(bench: Bench) -> None:
    assert bench.result(bench.load(INIT + "def run(data): return [1]\n")) == [1]


def test_a_coroutine_of_a_plain_run_is_run_to_its_end(bench: Bench) -> None:
    assert bench.result(bench.load(INIT + "async def slow(data): return [data]\ndef run(data): return slow(data)\n"), b"x") == ["x"]


async def answered(script: Script, body: bytes) -> tuple[Answer, bytes]:
    request = Request(body)
    answer = script.encode(await script.run(script.bind(request)), request)
    if isinstance(answer.body, bytes):
        return answer, answer.body
    if not hasattr(answer.body, "__anext__"):
        return answer, bytes_of(answer)
    return answer, b"".join([chunk async for chunk in cast(AsyncIterator[bytes], answer.body)])


ASYNC = {
    "async def run(data):\n    await asyncio.sleep(0)\n    return [data]\n": b'["x"]',
    "async def run(data):\n    yield 'a'\n    await asyncio.sleep(0)\n    yield data\n": b"ax",
    "async def run(data): return iter(['a', data])\n": b"ax",
    "async def each(data):\n    yield data\nasync def run(data): return each(data)\n": b"x",
}


@pytest.mark.parametrize("run", ASYNC)
def test_async_run(bench: Bench, run: str) -> None:
    script = bench.load(INIT + run)
    assert script.is_async
    assert script.contract()["async"] is True
    assert script.contract()["concurrency"] == 64
    assert asyncio.run(answered(script, b"x"))[1] == ASYNC[run]


def test_what_fails_before_the_first_chunk_of_an_async_stream_is_raised_by_run(bench: Bench) -> None:
    script = bench.load(INIT + "async def run(data):\n    raise ValueError(data)\n    yield 1\n")
    with pytest.raises(ValueError, match="early"):
        asyncio.run(answered(script, b"early"))


def test_begun_leaves_other_values_alone() -> None:
    value = json.loads('{"a": [1]}')
    assert begun(value) is value

"""One worker that waits for many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.docs.reader import Reader
from tests.examples.conftest import Follow
from tests.live import Service, read_reply

CALLERS = 8


def test_requests_wait_together(follow: Follow) -> None:
    read = follow("async-backend")
    assert read.answers()[:1] == [{"orders": [len("ada"), len("grace"), len("katherine")]}]
    names = ["x" * (1 + caller) for caller in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda name: ask(read.service, name), names))
    assert answers == [[1 + caller] for caller in range(CALLERS)]
    assert peak(read) > 3, "one worker had to have more requests in flight than one"


def peak(read: Reader) -> int:
    """How many questions the backend had at a time, asked as the page does."""
    page = read.folder / "peak.md"
    page.write_text("```sh\ncurl -s http://127.0.0.1:9001/peak\n```\n")
    read.follow(page)
    return int(read.answers("/peak")[-1]["peak"])


def ask(service: Service, customer: str) -> list[int]:
    connection = service.connect()
    try:
        connection.request("POST", "/score", f'{{"customers": ["{customer}"]}}')
        orders: list[int] = read_reply(connection).json()["orders"]
        return orders
    finally:
        connection.close()

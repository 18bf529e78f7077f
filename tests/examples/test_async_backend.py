"""One worker that waits for many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.examples.conftest import Follow
from tests.live import Service, read_reply

CALLERS = 8


def test_requests_wait_together(follow: Follow) -> None:
    read = follow("async-backend")
    assert read.answers()[0] == {"orders": [len("ada"), len("grace"), len("katherine")]}
    names = ["x" * (1 + caller) for caller in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda name: ask(read.service, name), names))
    assert answers == [[1 + caller] for caller in range(CALLERS)]
    read.run("curl -s http://127.0.0.1:5002/peak")
    assert read.ran[-1].json()["peak"] > 3, "one worker had to have more requests in flight than one"


def ask(service: Service, customer: str) -> list[int]:
    connection = service.connect()
    try:
        connection.request("POST", "/score", f'{{"customers": ["{customer}"]}}')
        orders: list[int] = read_reply(connection).json()["orders"]
        return orders
    finally:
        connection.close()

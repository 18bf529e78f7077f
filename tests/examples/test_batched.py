"""Requests that wait together are scored together, and answered apart."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
from sklearn.datasets import load_digits

from tests.examples.conftest import Follow
from tests.live import Service, read_reply

CALLERS, ROUNDS = 24, 12


def test_each_caller_gets_the_answer_to_his_own_rows(follow: Follow) -> None:
    read = follow("batched")
    model = joblib.load(read.folder / "out" / "model.joblib")
    images = load_digits().data
    own = model.predict(images).tolist()
    assert read.answers("@out/image.json")[0] == own[:1]
    assert read.answers("xargs") == [own[:1]] * 200

    before = batches(read.service)
    parts = [range(place, place + 1 + place % 3) for place in range(CALLERS * ROUNDS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda part: score(read.service, images[part.start : part.stop].tolist()), parts))
        assert answers == [own[part.start : part.stop] for part in parts]
        assert batches(read.service) - before < len(parts), "no two requests shared a run()"
        mixed = list(pool.map(lambda place: score(read.service, images[place : place + 1, : 63 + place % 5].tolist()), range(CALLERS)))
    for place, answer in enumerate(mixed):  # 63 pixels are the caller's error, and only his
        assert (answer == own[place : place + 1]) if place % 5 else ("message" in answer)


def score(service: Service, rows: list[list[float]]) -> Any:
    connection = service.connect()
    try:
        connection.request("POST", "/score", json.dumps({"images": rows}), {"Content-Type": "application/json"})
        return read_reply(connection).json()
    finally:
        connection.close()


def batches(service: Service) -> float:
    found = re.search(r"^fairlead_batch_requests_count (\S+)$", service.get("/metrics").text, re.MULTILINE)
    assert found
    return float(found.group(1))

"""R12: requests that are scored together stay apart: no answer is swapped, a bad row harms only its own request."""

from __future__ import annotations

import json
import random

import pytest

from tests.faults.scripts import BATCHED
from tests.faults.subject import Subjects
from tests.traffic import Ask, Kind, Plan, Reply, Traffic

MOST_ROWS = 64


def rows_of(tag: int) -> list[list[int]]:
    """Between 1 and 20 rows that no other request has."""
    return [[tag * 100 + number] for number in range(random.Random(tag).randint(1, 20))]


def is_bad(tag: int) -> bool:
    return tag % 64 == 13


def tagged(tag: int) -> Ask:
    return Ask(tag=tag, body=json.dumps({"data": rows_of(tag)}).encode())


def one_bad_in_64(tag: int) -> Ask:
    rows = rows_of(tag)
    if is_bad(tag):
        rows[-1] = [-1]
    return Ask(tag=tag, body=json.dumps({"data": rows}).encode())


class Batches:
    """Checks answers and remembers how many rows were scored together."""

    def __init__(self) -> None:
        self.largest = 0

    def check(self, ask: Ask, reply: Reply) -> str:
        answer = json.loads(reply.body)
        self.largest = max([self.largest, *(together for _, together in answer)])
        got, wanted = [[value] for value, _ in answer], json.loads(ask.body)["data"]
        return "" if got == wanted else f"asked {wanted}, got {got}"


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_are_never_swapped(subject: Subjects, long: bool, workers: int) -> None:
    service = subject(BATCHED, workers=workers)
    batches = Batches()
    requests, seconds = (1_000_000, 1800) if long else (4000, 30)
    plan = Plan(port=service.port, connections=64, requests=requests, seconds=seconds, ask=tagged, check=batches.check)
    with Traffic(plan) as traffic:
        record = traffic.wait()
    assert not record.failed(), record.explain()
    assert len(record.outcomes) == requests
    assert 20 < batches.largest <= MOST_ROWS, "requests were scored together, and not too many"


def test_one_bad_row_among_64_requests_fails_only_its_own(subject: Subjects) -> None:
    service = subject(BATCHED)
    batches = Batches()
    plan = Plan(port=service.port, connections=64, requests=2048, seconds=30, ask=one_bad_in_64, check=batches.check)
    with Traffic(plan) as traffic:
        record = traffic.wait()
    failed = {one.tag for one in record.failed()}
    assert failed == {tag for tag in range(2048) if is_bad(tag)}, record.explain()
    assert {(one.kind, one.status) for one in record.failed()} == {(Kind.STATUS, 500)}
    assert batches.largest > 20


def test_mixed_shapes_are_each_answered_for_themselves(subject: Subjects) -> None:
    """Rows of different width cannot be stacked; each request still gets what it would get alone."""
    service = subject(BATCHED)
    shapes = [[[1]], [[2, 3]], [[4], [5]], [], [[6, [7]]], "text", {"a": 1}, None]
    alone = {json.dumps(shape): service.service.post("/score", {"data": shape}) for shape in shapes}

    def mixed(tag: int) -> Ask:
        return Ask(tag=tag, body=json.dumps({"data": shapes[tag % len(shapes)]}).encode())

    with Traffic(Plan(port=service.port, connections=32, requests=800, ask=mixed, seconds=30)) as traffic:
        record = traffic.wait()
    for one in record.outcomes:
        wanted = alone[json.dumps(shapes[one.tag % len(shapes)])]
        assert one.status == wanted.status, f"{shapes[one.tag % len(shapes)]}: alone {wanted.status}, together {one.status} {one.text}"


def test_a_request_with_more_rows_than_a_batch_is_scored_by_itself(subject: Subjects) -> None:
    service = subject(BATCHED)
    rows = [[number] for number in range(1000)]
    answer = service.service.post("/score", {"data": rows})
    assert [[value] for value, _ in answer.json()] == rows

"""A request holds only what JSON and both databases can keep."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.errors import UsageError
from fairlead.schemas.services import EnvironmentWish, NewService

DEEP: Any = 1
for _ in range(101):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"a": ["x", "\0"]}, "'spec.a.1' holds a NUL"),
        ({"a\0": 1}, "'spec' holds a NUL"),
        ({"a": "\ud800"}, "'spec.a' holds half of a surrogate pair"),
        ({"a": float("inf")}, "'spec.a' is no number"),
        ({"a": float("nan")}, "'spec.a' is no number"),
        ({"a": 2**63}, "'spec.a' is a whole number of more than 64 bits"),
        ({"a": -(2**63) - 1}, "more than 64 bits"),
        ({"a": DEEP}, "nested more than 100 deep"),
    ],
)
def test_what_cannot_be_kept_is_refused_where_it_stands(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        EnvironmentWish.of(spec=spec)


def test_what_can_be_kept_is_taken() -> None:
    spec: dict[str, Any] = {"a": [2**63 - 1, -(2**63), 1.5, None, True, "ä\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), {"b": []}]}
    assert NewService.of(name="churn", environment={"spec": spec}).environment == EnvironmentWish(spec=json.loads(json.dumps(spec)))

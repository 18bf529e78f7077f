"""When is an answer the recorded one, and what is said of the first difference."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fairlead_scoring.worker.comparison import difference
from hypothesis import given
from hypothesis import strategies as some

SAME: list[Any] = [
    (1, 1.0000001),
    (1e9, 1e9 + 100),
    (0.0, 1e-7),
    ([1, {"a": None}], [1.0, {"a": None}]),
    (math.nan, math.nan),
    (math.inf, math.inf),
    (10**400, 10**400),
    ("[0.5, 1]", "[0.50000001, 1]"),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
]
DIFFERENT: list[Any] = [
    ([{"p": 0.5}, {"p": 0.5}], [{"p": 0.5}, {"p": 0.7}], "row 1, field p is 0.7, recorded 0.5 (tolerance 1e-06)"),
    ({"predict": [1, 2, 3]}, {"predict": [1, 2, 4]}, "row 2 of predict is 4, recorded 3 (tolerance 1e-06)"),
    ({"a": {"b": "x"}}, {"a": {"b": "y"}}, 'field a.b is "y", recorded "x" (tolerance 1e-06)'),
    ({"a": 1}, {}, "field a is missing, recorded 1 (tolerance 1e-06)"),
    ({}, {"a": 1}, "field a is 1, and was not there when the answer was recorded (tolerance 1e-06)"),
    ([1, 2], [1], "the whole answer has 1 items, recorded 2 (tolerance 1e-06)"),
    ([[1, 2], [3]], [[1, 2], [3, 4]], "row 1 has 2 items, recorded 1 (tolerance 1e-06)"),
    ([[1, 2]], [[1, 3]], "row 0, field [1] is 3, recorded 2 (tolerance 1e-06)"),
    (1, True, "the whole answer is true, recorded 1 (tolerance 1e-06)"),
    (None, math.nan, "the whole answer is NaN, recorded null (tolerance 1e-06)"),
    (1.0, math.nan, "the whole answer is NaN, recorded 1.0 (tolerance 1e-06)"),
    (math.inf, -math.inf, "the whole answer is -Infinity, recorded Infinity (tolerance 1e-06)"),
    (1.0, math.inf, "the whole answer is Infinity, recorded 1.0 (tolerance 1e-06)"),
    (1, "1", 'the whole answer is "1", recorded 1 (tolerance 1e-06)'),
    ("a", "b", 'the whole answer is "b", recorded "a" (tolerance 1e-06)'),
    ("[1, 2]", "[1, 3]", "row 1 is 3, recorded 2 (tolerance 1e-06)"),
    (10**400, 2.5, f"the whole answer is 2.5, recorded 1{'0' * 79} … (tolerance 1e-06)"),
]


@pytest.mark.parametrize(("recorded", "now"), SAME)
def test_these_are_the_same(recorded: Any, now: Any) -> None:
    assert difference(recorded, now, 1e-6) is None
    assert difference(now, recorded, 1e-6) is None


@pytest.mark.parametrize(("recorded", "now", "said"), DIFFERENT)
def test_the_first_difference_is_named_with_both_values(recorded: Any, now: Any, said: str) -> None:
    assert difference(recorded, now, 1e-6) == said


def test_a_tolerance_of_nothing_is_exact() -> None:
    assert difference(0.1 + 0.2, 0.3, 0.0) is not None
    assert difference(3, 3.0, 0.0) is None


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON, some.sampled_from([0.0, 1e-6, 0.5]))
def test_everything_is_like_itself_and_the_order_of_two_is_no_matter(one: Any, other: Any, tolerance: float) -> None:
    assert difference(one, one, tolerance) is None
    assert (difference(one, other, tolerance) is None) == (difference(other, one, tolerance) is None)

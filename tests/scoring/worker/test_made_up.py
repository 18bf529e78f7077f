"""A body to paste, for typed scripts whose author gave no example."""

from __future__ import annotations

from typing import Any

import pytest
from fairlead_scoring.schema import Field, Tensor, Value, check
from fairlead_scoring.worker.made_up import made_up


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "number", "exclusiveMinimum": 0}, 1),
        ({"type": "number", "maximum": -5}, -5),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"enum": ["b", "a"]}, "b"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"type": ["integer", "null"]}, 0),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [False, False]),
        ({"properties": {"age": {"type": "integer", "example": 40}}, "required": ["age"]}, {"age": 40}),
        ({"type": "string", "pattern": "[0-9]+"}, None),
        ({}, None),
    ],
)
def test_fits_its_schema(schema: dict[str, Any], expected: Any) -> None:
    field = Field("x", Value(schema))
    value = made_up(field, None)
    assert value == expected
    if value is not None:
        check(field, value)


def test_what_the_users_own_check_refuses_is_no_example() -> None:
    def odd(value: int) -> int:
        raise LookupError(value)

    assert made_up(Field("x", Value({"type": "integer"})), odd) is None
    assert made_up(Field("x", Tensor("float64", (-1, 2))), None) is None

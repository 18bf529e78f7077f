"""Declarations read out of samples and out of first-generation schema files."""

from __future__ import annotations

from typing import Any

import pytest
from fairlead_scoring.schema import Column, DeclarationError, Field, Signature, Table, Tensor, Value, check, infer, read
from hypothesis import given
from hypothesis import strategies as st

ROWS = [{"age": 3, "name": "a", "ok": True}, {"age": None, "name": "b", "ok": False}]
COLUMNS = (Column("age", "float64", nullable=True), Column("name", "str"), Column("ok", "bool"))


@pytest.mark.parametrize(
    ("sample", "type_"),
    [
        ([[1, 2], [3, 4]], Tensor("float64", (-1, 2))),
        ([[1.5, None]], Tensor("float64", (-1, 2), nulls=True)),
        (["a", "b"], Tensor("str", (-1,))),
        (ROWS, Table(COLUMNS)),
        ({"columns": ["age", "name", "ok"], "data": [[3, "a", True], [None, "b", True]]}, Table(COLUMNS, "split")),
        (5, Value({"type": "number"})),
        ([[1], [1, 2]], Value({"type": "array"})),
        ([1, "a"], Value({"type": "array"})),
        ([], Value({"type": "array"})),
        ({"a": "x", "b": None}, Value({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}})),
    ],
)
def test_a_sample_declares_its_inputs(sample: Any, type_: Any) -> None:
    assert infer({"data": sample}) == Signature((Field("data", type_, example=sample),))


def test_a_bare_list_is_data() -> None:
    assert infer([[1]]).inputs[0].name == "data"


@pytest.mark.parametrize("body", [5, {}, "x", None])
def test_other_samples_declare_nothing(body: Any) -> None:
    with pytest.raises(DeclarationError, match="keyed by the inputs' names"):
        infer(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_sample_fits_what_it_declares(sample: Any) -> None:
    field = infer({"data": sample}).inputs[0]
    complete = not isinstance(field.type, Table) or not isinstance(sample, list) or all(set(row) == set(field.type.names) for row in sample)
    if complete:
        check(field, sample)


class Untouchable:
    """Stands where the pickle is; reading it in any way is a failure."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)


SERVICE_SCHEMA: dict[str, Any] = {
    "input": {
        "input_df": {
            "internal": Untouchable(),
            "swagger": {
                "type": "array",
                "items": {"type": "object", "properties": {"w": {"type": "number", "format": "double"}, "n": {"type": "integer", "format": "int8"}}},
                "example": [{"w": 1.5, "n": 2}],
            },
            "type": 3,
        },
        "image": {
            "internal": Untouchable(),
            "swagger": {"type": "array", "items": {"type": "array", "items": {"type": "number", "format": "float"}}, "example": [[1, 2, 3]]},
            "type": 1,
        },
        "when": {"internal": Untouchable(), "swagger": {"type": "string", "format": "time", "example": "11:26"}, "type": 0},
    },
    "output": {"out": {"internal": Untouchable(), "swagger": {"type": "array", "items": {"type": "string"}, "example": ["a"]}, "type": 1}},
}


def test_a_first_generation_schema_is_read_without_its_pickles() -> None:
    signature = read(SERVICE_SCHEMA)
    assert [each.type for each in signature.inputs] == [
        Table((Column("w", "float64", nullable=True), Column("n", "int8", nullable=True))),
        Tensor("float32", (-1, 3)),
        Value({"type": "string"}),
    ]
    assert signature.output == Field("out", Tensor("str", (-1,)), example=["a"])
    for field in signature.inputs:
        check(field, field.example)


@pytest.mark.parametrize("said", [{"input": 5}, {"input": {"a": {"internal": "x"}}}, {"input": {"a": {"swagger": {"$ref": "#"}}}}])
def test_what_a_first_generation_schema_cannot_say_is_refused(said: Any) -> None:
    with pytest.raises(DeclarationError):
        read(said)

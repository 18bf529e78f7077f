"""Declared inputs: what fits, what does not, and that the answer says where."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from fairlead_scoring.schema import Column, DeclarationError, Field, Mismatch, Signature, Table, Tensor, Value, check
from fairlead_scoring.schema.scalars import DTYPES, canonical
from hypothesis import given
from hypothesis import strategies as st

NAN = math.nan
PEOPLE = Table(
    (
        Column("age", "int64", minimum=0, maximum=150),
        Column("sex", "str", nullable=True, categories=("f", "m")),
        Column("pay", "float32", nullable=True),
        Column("since", "datetime64"),
    )
)
ANN = {"age": 33, "sex": "f", "pay": 1.5, "since": "2026-11-21"}


def refusal(type_: Any, value: Any) -> str:
    with pytest.raises(Mismatch) as caught:
        check(Field("data", type_), value)
    return str(caught.value)


GOOD: list[tuple[Any, Any]] = [
    (Tensor("float64", (-1, 2)), [[1, 2.5], [0, -1e308]]),
    (Tensor("float64", (-1, 2)), [[1e308, 1e308]]),  # the sum overflows, the cells do not
    (Tensor("float64", (-1, 2)), [[2**1000, 1.0]]),
    (Tensor("float64", (2, 1, 2)), [[[1, 2]], [[3, 4]]]),
    (Tensor("float64", (-1, -1)), [[1, 2], [3, 4]]),
    (Tensor("float64", (-1, 0)), [[], []]),
    (Tensor("float64", (-1,), nulls=True), [1.0, None, NAN, math.inf]),
    (Tensor("float64"), []),
    (Tensor("float64"), [[[1]]]),
    (Tensor("float64"), 5),
    (Tensor("float64", ()), 5),
    (Tensor("uint8", (-1,)), [0, 255, 3.0]),
    (Tensor("int64", (-1,)), [-(2**63), 2**63 - 1]),
    (Tensor("bool", (-1,)), [True, False]),
    (Tensor("str", (-1,)), ["5", ""]),
    (Tensor("object", (-1,)), ["5", 5, {"a": [1]}]),
    (Tensor("datetime64", (-1,)), ["2024-02-29", "2026-11-21T11:26", "2026-11-21 11:26:37.995+01:00", "2026-11-21T11:26:60Z"]),
    (PEOPLE, [ANN, {**ANN, "sex": None, "pay": NAN}]),
    (PEOPLE, [list(ANN.values()), [0, None, None, "2026-01-01"]]),
    (PEOPLE, {"columns": ["since", "pay", "sex", "age"], "data": [["2026-11-21", 1, "m", 4.0]], "index": [7]}),
    (Value({}), None),
    (Value({}), NAN),
    (Value({"enum": ["a", None]}), None),
    (Value({"type": "integer", "nullable": True}), None),
    (Value({"type": ["integer", "string"]}), "x"),
    (Value({"const": 1}), 1.0),
    (Value({"pattern": "^a+$"}), "aa"),
    (Value({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "number"}}]}), [1, 2.5]),
    (Value({"type": "string", "format": "date-time"}), "2026-11-21T11:26:37Z"),
]


@pytest.mark.parametrize(("type_", "value"), GOOD, ids=repr)
def test_fits(type_: Any, value: Any) -> None:
    check(Field("data", type_), value)


BAD: list[tuple[Any, Any, str]] = [
    (Tensor("float64", (-1, 2)), [[1, True]], "data, row 0, column 1: expected a number, got true."),
    (Tensor("float64", (-1, 2)), [[1, 2], ["5", 2]], 'data, row 1, column 0: expected a number, got "5".'),
    (Tensor("float64", (-1, 2)), [[1, NAN]], "data, row 0, column 1: expected a number, got NaN."),
    (Tensor("float64", (-1, 2)), [[1, None]], "data, row 0, column 1: expected a number, got null."),
    (Tensor("float64", (-1, 2)), [[math.inf, -math.inf]], "data, row 0, column 0: expected a number, got Infinity."),
    (Tensor("float64", (-1, 2)), [[10**400, -(10**400)]], "column 0: expected a number that fits float64, got an integer of 1329 bits."),
    (Tensor("float32", (-1,)), [1.0, 3.5e38], "data, row 1: expected a number that fits float32, got 3.5e+38."),
    (Tensor("float64", (-1, 2)), [[1, 2], [3]], "data, row 1: expected 2 values, got 1 value."),
    (Tensor("float64", (-1, 2)), [1, 2], "data, row 0: expected a list of 2 values, got 1."),
    (Tensor("float64", (-1, 2)), [], "data: expected at least one row, got none."),
    (Tensor("float64", (-1, 2)), {"a": 1}, 'data: expected an array of shape (*, 2), got {"a": 1}.'),
    (Tensor("float64", (-1, 2)), None, "data: expected an array of shape (*, 2), got null."),
    (Tensor("float64", (-1, -1)), [[1, 2], [3]], "data, row 1: expected 2 values, got 1 value."),
    (Tensor("float64"), [[1, 2], [3]], "data, row 1: expected 2 values, got 1 value."),
    (Tensor("float64"), [[1], 3], "data, row 1: expected a list of 1 value, got 3."),
    (Tensor("float64", (1, 1, 2)), [[[1, "x"]]], "data, row 0, column '0,1': expected a number, got \"x\"."),
    (Tensor("uint8", (-1,)), [256], "data, row 0: expected an integer between 0 and 255, got 256."),
    (Tensor("uint8", (-1,)), [3.5], "data, row 0: expected an integer between 0 and 255, got 3.5."),
    (Tensor("int64", (-1,)), [2**63], f"expected an integer between {-(2**63)} and {2**63 - 1}, got {2**63}."),
    (Tensor("int64", (-1,)), [1e300], "data, row 0: expected an integer, got 1e+300."),
    (Tensor("bool", (-1,)), [1], "data, row 0: expected true or false, got 1."),
    (Tensor("object", (-1,)), [None], "data, row 0: expected a value, got null."),
    (Tensor("datetime64", (-1,)), ["2023-02-29"], 'expected an ISO 8601 date or date and time, got "2023-02-29".'),
    (Tensor("datetime64", (-1,)), [1700000000000], "expected an ISO 8601 date or date and time, got 1700000000000."),
    (PEOPLE, [ANN, ANN, ANN, {**ANN, "age": None}], "data, row 3, column 'age': expected an integer between 0 and 150, got null."),
    (PEOPLE, [{**ANN, "age": 151}], "data, row 0, column 'age': expected an integer between 0 and 150, got 151."),
    (PEOPLE, [{**ANN, "sex": "x"}], 'data, row 0, column \'sex\': expected one of "f", "m" or null, got "x".'),
    (PEOPLE, [{**ANN, "sex": []}], 'data, row 0, column \'sex\': expected one of "f", "m" or null, got [].'),
    (PEOPLE, [{"age": 3, "pay": 1, "since": "2026-01-01"}], 'data, row 0, column \'sex\': expected one of "f", "m" or null, got nothing.'),
    (PEOPLE, [{**ANN, "Age": 3}], "data, row 0, column 'Age': expected only the columns age, sex, pay, since, got 3."),
    (PEOPLE, [ANN, 5], "data, row 1: expected an object or a list of 4 values, got 5."),
    (PEOPLE, [list(ANN.values()), [1]], "data, row 1: expected 4 values, in the order age, sex, pay, since, got 1 value."),
    (PEOPLE, [list(ANN.values())[::-1]], "data, row 0, column 'age': expected an integer between 0 and 150, got \"2026-11-21\"."),
    (PEOPLE, [], "data: expected at least one row, got none."),
    (PEOPLE, "x", 'data: expected a list of rows, got "x".'),
    (PEOPLE, {"columns": ["age"], "data": []}, "data, column 'sex': expected this column once in columns, got nothing."),
    (PEOPLE, {"columns": ["age", "sex", "pay", "since", []], "data": []}, "data, column 'columns': expected only the columns age"),
    (PEOPLE, {"columns": list(ANN), "data": [ANN]}, "data, row 0: expected an object or a list of 4 values, got {"),
    (PEOPLE, {"columns": list(ANN), "data": None}, "data: expected a list of rows, got null."),
    (PEOPLE, {"age": [1]}, 'data: expected rows, or an object of "columns" and "data", got {"age": [1]}.'),
    (Value({"type": "integer"}), 3.0, "data: expected an integer, got 3.0."),
    (Value({"type": "integer"}), True, "data: expected an integer, got true."),
    (Value({"type": "number"}), NAN, "data: expected a number, got NaN."),
    (Value({"type": "number", "minimum": 0, "maximum": 1}), 2, "data: expected a number between 0 and 1, got 2."),
    (Value({"type": "number", "exclusiveMinimum": 0}), 0, "data: expected a number above 0, got 0."),
    (Value({"const": 1}), True, "data: expected 1, got true."),
    (Value({"enum": [[0], "b"]}), [False], 'data: expected one of [0], "b", got [false].'),
    (Value({"maxLength": 2}), "abc", 'data: expected at most 2 characters, got "abc".'),
    (Value({"pattern": "^a+$"}), "b", 'data: expected a string that matches ^a+$, got "b".'),
    (Value({"type": "string", "format": "date"}), "2026-02-30", 'data: expected a date such as 2026-11-21, got "2026-02-30".'),
    (Value({"format": "uint8"}), 300, "data: expected a number between 0 and 255, got 300."),
    (Value({"items": {"properties": {"a": {"type": "string"}}}, "minItems": 1}), [{}, {"a": 1}], "data, row 1, column 'a': expected a string, got 1."),
    (Value({"required": ["a"]}), {}, "data, column 'a': expected a value, got nothing."),
    (Value({"properties": {"a": {}}, "additionalProperties": False}), {"b": 1}, "data, column 'b': expected nothing: the properties are a, got 1."),
    (Value({"additionalProperties": {"type": "string"}}), {"b": 1}, "data, column 'b': expected a string, got 1."),
    (Value({"anyOf": [{"type": "string"}, {"type": "integer"}]}), [], "data: expected a string or an integer, got []."),
    (Value({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}), ["x"], 'data, row 0: expected an integer, got "x".'),
]


@pytest.mark.parametrize(("type_", "value", "sentence"), BAD, ids=[f"{index}-{sentence[:30]}" for index, (_, _, sentence) in enumerate(BAD)])
def test_what_does_not_fit_is_named(type_: Any, value: Any, sentence: str) -> None:
    assert sentence in refusal(type_, value)


def test_ten_mismatches_at_most_each_with_its_place() -> None:
    with pytest.raises(Mismatch) as caught:
        check(Field("x", Tensor("float64", (-1, 2))), [["a", 1]] * 25)
    errors = caught.value.errors()
    assert len(errors) == 10
    assert errors[3] == {"field": "x", "row": 3, "column": 0, "expected": "a number", "got": '"a"'}


@pytest.mark.parametrize(
    "value", ["x" * 10**6, ["y" * 90] * 10**5, {"k" * 100: {"k" * 100: [[[["z"] * 100] * 100]] * 50}}, 10**5000, "\ud800", '"' * 200], ids=range(6)
)
def test_what_came_is_short_and_can_be_sent(value: Any) -> None:
    with pytest.raises(Mismatch) as caught:
        check(Field("data", Value({"type": "null"})), value)
    assert 0 < len(caught.value.got) <= 80
    caught.value.got.encode("utf-8")


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(-300, 300), st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**400, 70000.0, 1e39]),
    st.floats(width=16), st.floats(), st.sampled_from(["a", "b", "", "2026-01-01"]), st.just({}),
)  # fmt: skip


@given(st.sampled_from(DTYPES), st.booleans(), st.lists(CELLS, max_size=6), st.data())
def test_the_quick_answer_is_the_careful_one(dtype: str, nullable: bool, cells: list[Any], data: st.DataObject) -> None:
    limits: dict[str, Any] = {}
    if dtype.startswith(("int", "uint", "float")) and data.draw(st.booleans()):
        limits = {"minimum": -5, "maximum": data.draw(st.integers(-5, 90_000))}
    if dtype == "str" and data.draw(st.booleans()):
        limits = {"categories": ("a", "")}
    cell = Column("c", dtype, nullable, **limits).cell
    if cell.admits(cells):
        assert [cell.refusal(value) for value in cells] == [None] * len(cells)


@given(st.sampled_from(["int8", "uint16", "int64", "float16", "float32", "float64", "bool"]), st.lists(CELLS, min_size=1, max_size=5))
def test_what_fits_becomes_the_same_numbers_in_numpy(dtype: str, cells: list[Any]) -> None:
    """Whatever is let through can be cast to the declared dtype without turning into something else."""
    try:
        check(Field("data", Tensor(dtype, (-1,))), cells)
    except Mismatch:
        return
    cast = np.asarray(cells).astype(dtype)
    assert np.isfinite(cast).all()
    assert np.allclose(cast.astype("float64"), np.asarray(cells, dtype="float64"), rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("<f4", "float32"), ("f8", "float64"), ("|b1", "bool"), (">i2", "int16"), ("u1", "uint8"), ("<U5", "str"), ("O", "object"), ("Int64", "int64"),
        ("string", "str"), ("string[python]", "str"), ("boolean", "bool"), ("double", "float64"), ("datetime64[ns, UTC]", "datetime64"), ("str3", "str"),
    ],
)  # fmt: skip
def test_dtypes_as_libraries_write_them(written: str, plain: str) -> None:
    assert canonical(written) == plain


@pytest.mark.parametrize("dtype", ["complex64", "category", "timedelta64[ns]", "f3", "", "S5", "float31"])
def test_dtypes_that_cannot_be_checked_are_refused(dtype: str) -> None:
    with pytest.raises(DeclarationError, match="cannot be checked"):
        Tensor(dtype)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({"$ref": "#/x"}, "keyword '\\$ref' is not enforced"),
        ({"items": {"properties": {"a": {"uniqueItems": True}}}}, "schema.items.properties.a: keyword 'uniqueItems'"),
        ({"anyOf": [{"oneOf": []}]}, "'oneOf' is not enforced"),
        ({"type": "int"}, 'type is "int"'),
        ({"type": []}, "type is \\[\\]"),
        ({"format": "uuid"}, '"uuid" is not enforced here'),
        ({"pattern": "("}, "not a regular expression"),
        ({"minimum": "1"}, "must be a number"),
        ({"minimum": NAN}, "must be a number"),
        ({"exclusiveMinimum": True}, "must be a number"),
        ({"minLength": -1}, "whole number"),
        ({"enum": []}, "list with something in it"),
        ({"required": "a"}, "list of property names"),
        ({"items": [{}]}, "must be an object"),
        ({"nullable": 1}, "true or false"),
    ],
)
def test_nothing_declared_goes_unchecked(schema: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        Value(schema)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"inputs": [{"name": "a"}]}, "field 'a': 'type' is missing"),
        ({"inputs": [{"name": "a", "type": {"kind": "matrix"}}]}, "field 'a': kind 'matrix' is unknown"),
        ({"inputs": [{"name": "a", "type": {"kind": "tensor", "dims": 2}}]}, "field 'a': 'dims' is unknown; the keys are dtype, shape, nulls"),
        ({"inputs": [{"name": "a", "type": {"kind": "tensor", "shape": [-2]}}]}, "field 'a': shape"),
        ({"inputs": [{"name": "a", "type": {"kind": "table", "columns": []}}]}, "at least one column"),
        ({"inputs": [{"name": "a", "type": {"kind": "table", "columns": [{"name": "b"}]}}]}, "field 'a': column: 'dtype' is missing"),
        ({"inputs": [{"name": "a", "type": {"kind": "value"}, "requird": True}]}, "field 'a': 'requird' is unknown"),
        ({"inputs": [{"name": "a", "type": {"kind": "value"}}] * 2}, "input 'a' is declared twice"),
        ({"input": []}, "'inputs' is missing"),
        ([], "schema must be an object"),
    ],
)
def test_a_schema_file_is_read_to_the_letter(said: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        Signature.from_json(said)


@pytest.mark.parametrize(
    "limits", [{"minimum": 5, "maximum": 1}, {"minimum": NAN}, {"minimum": True}, {"categories": ()}, {"categories": ("a",)}, {"categories": (True,)}], ids=str
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="column 'a': "):
        Column("a", "int64", **limits)
    with pytest.raises(DeclarationError, match=r"need a number type"):
        Column("a", "str", minimum=1)


def test_what_is_declared_survives_json() -> None:
    fields = (
        Field("data", PEOPLE, example=[ANN]),
        Field("x", Tensor("<f4", (-1, 3), nulls=True)),
        Field("y", Tensor("bool")),
        Field("k", Value({"type": "integer", "format": "int32"}), required=False, default=3),
    )
    signature = Signature(fields, Field("out", Tensor("int64", (-1,))))
    assert Signature.from_json(json.loads(json.dumps(signature.to_json()))) == signature
    assert Signature.from_json({"inputs": []}) == Signature(())

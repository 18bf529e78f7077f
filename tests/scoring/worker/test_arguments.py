"""What `run()` is handed, for each declared type, by every way a body can come."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value
from fairlead_scoring.worker import arguments
from fairlead_scoring.worker.dialects import Dialects
from fairlead_scoring.worker.exchange import BadInput, Request

MIXED = Table(
    (
        Column("n", "int64"),
        Column("gap", "int64", nullable=True),
        Column("x", "float32", nullable=True),
        Column("on", "bool"),
        Column("maybe", "bool", nullable=True),
        Column("word", "str", nullable=True),
        Column("at", "datetime64", nullable=True),
    )
)
FULL = {"n": 1, "gap": 2, "x": 0.5, "on": True, "maybe": False, "word": "a", "at": "2024-02-29T12:00:00+02:00"}
EMPTY = {"n": 2, "gap": None, "x": None, "on": False, "maybe": None, "word": None, "at": None}


def bound(type_: Any, body: Any, *, method: str = "POST", query: bytes = b"", **said: Any) -> Any:
    dialects = Dialects(Signature((Field("data", type_, **said),)))
    return dialects.bind(Request(json.dumps(body).encode(), method=method, query=query))["data"]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64"])
def test_a_tensor_is_an_array_of_the_declared_dtype(dtype: str) -> None:
    array = bound(Tensor(dtype, (-1, 2)), {"data": [[1, 0]] if dtype != "bool" else [[True, False]]})
    assert array.dtype == dtype
    assert array.tolist() == [[1, 0]]


def test_whole_floats_are_cast_for_an_integer_tensor() -> None:
    assert bound(Tensor("int64", (-1,)), [3.0, 4]).tolist() == [3, 4]


def test_a_null_never_changes_the_dtype() -> None:
    for dtype, null, full, expected in (("int32", [None], [1], "float64"), ("float32", [None], [1.5], "float32"), ("bool", [None], [True], "object")):
        assert bound(Tensor(dtype, (-1,), nulls=True), null).dtype == bound(Tensor(dtype, (-1,), nulls=True), full).dtype == expected
    assert np.isnan(bound(Tensor("float32", (-1,), nulls=True), [None, 1])[0])


def test_infinity_counts_as_null() -> None:
    array = bound(Tensor("float64", (-1,), nulls=True), [float("inf"), float("nan"), 1.0])
    assert np.isnan(array[:2]).all()
    with pytest.raises(BadInput, match=r"row 0: expected a number, got Infinity"):
        bound(Tensor("float64", (-1,)), [float("inf")])


def test_objects_and_text_keep_their_shape() -> None:
    assert bound(Tensor("str", (-1, 2)), [["ab", "c"]]).dtype == object
    array = bound(Tensor("object", (-1, 2)), [[[1, 2], {"a": 1}], ["x", 3]])
    assert array.shape == (2, 2)
    assert array[0, 0] == [1, 2]


def test_moments_are_in_utc() -> None:
    array = bound(Tensor("datetime64", (-1,), nulls=True), ["2024-01-01T00:30:00.25+01:00", "2024-01-01", None])
    assert array.dtype == "datetime64[us]"
    assert str(array[0]) == "2023-12-31T23:30:00.250000"
    assert np.isnat(array[2])


@pytest.mark.parametrize(
    "body",
    [
        [FULL, EMPTY],
        [list(FULL.values()), list(EMPTY.values())],
        {"columns": list(FULL)[::-1], "data": [list(FULL.values())[::-1], list(EMPTY.values())[::-1]]},
    ],
    ids=["records", "values", "split"],
)
def test_a_table_is_a_frame_with_declared_dtypes(body: Any) -> None:
    frame = bound(MIXED, {"data": body})
    kinds = {"n": "int64", "gap": "float64", "x": "float32", "on": "bool", "maybe": "object", "word": "object"}
    assert list(frame.columns) == list(MIXED.names)
    assert {name: str(frame[name].dtype) for name in kinds} == kinds
    assert frame["at"].dtype.kind == "M"
    assert frame["at"].iloc[0] == pd.Timestamp("2024-02-29T10:00:00")
    assert frame["word"].tolist() == ["a", None]
    assert np.isnan(frame["gap"].iloc[1])


def test_frames_of_different_requests_can_be_stacked() -> None:
    whole = pd.concat([bound(MIXED, [FULL]), bound(MIXED, [EMPTY])], ignore_index=True)
    assert (whole.dtypes == bound(MIXED, [FULL]).dtypes).all()


def test_columns_are_joined_the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = bound(MIXED, [FULL, EMPTY])
    monkeypatch.delattr(pd.DataFrame, "_from_arrays")
    reader = arguments.TableReader(Field("data", MIXED), MIXED)
    assert not reader._joins_fast
    pd.testing.assert_frame_equal(reader.read([FULL, EMPTY]), quick)
    quick.loc[0, "n"] = 9  # what run() does to its frame is its own affair
    assert quick["n"].tolist() == [9, 2]


def test_a_table_of_one_kind_is_one_block() -> None:
    frame = bound(Table((Column("a", "float64"), Column("b", "float64"))), [{"b": 2, "a": 1}])
    assert frame.to_dict(orient="records") == [{"a": 1.0, "b": 2.0}]
    assert bound(Table((Column("a", "float64"),)), [{"a": 1}, {"a": 2}])["a"].tolist() == [1.0, 2.0]


def test_without_numpy_and_pandas_there_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "optional", lambda name: None)
    assert bound(Tensor("float64", (-1, 2)), [[1.5, 2]]) == [[1.5, 2]]
    assert bound(MIXED, [list(FULL.values())]) == [FULL]


def test_defaults_are_the_fields_or_the_dialects_and_never_shared() -> None:
    fields = (Field("data", Tensor("float64", (-1,))), Field("options", Value({"type": "object"}), required=False, default={"k": 1}))
    dialects = Dialects(Signature(fields), {"designer": {"options": {"k": 2}}})
    first = dialects.bind(Request(b'{"data": [1]}'))
    first["options"]["k"] = 99
    assert dialects.bind(Request(b'{"data": [1]}'))["options"] == {"k": 1}
    assert dialects.bind(Request(b'{"Inputs": {"data": [1]}}'))["options"] == {"k": 2}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty; JSON is expected."),
        (b'{"data": [1', "The body is not JSON: "),
        (b"\xff", "The body is not UTF-8 (byte 0)"),
        (b'{"data": ["\\ud800"]}', "half of a surrogate pair"),
        (b'{"data": [1], "extra": 1}', "'extra' is no input of this service; its inputs are: data."),
        (b"{}", "'data' is missing; the inputs are: data."),
        (b"5", "The body must be an object of inputs (data), got 5."),
        (b"[" * 5000, "The body is nested more than 100 levels deep."),
    ],
)
def test_a_body_that_is_wrong_as_a_whole_is_told_so(body: bytes, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        Dialects(Signature((Field("data", Tensor("float64", (-1,))),))).bind(Request(body))
    assert message in caught.value.message
    assert caught.value.status == 400


def test_a_mismatch_carries_field_row_and_column() -> None:
    with pytest.raises(BadInput) as caught:
        bound(MIXED, [FULL, {**FULL, "n": 1.5}])
    assert caught.value.message == "data, row 1, column 'n': expected an integer, got 1.5."
    assert caught.value.detail["errors"][0]["column"] == "n"


def test_deep_json_is_refused_before_it_is_walked() -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    with pytest.raises(BadInput, match="more than 100 levels"):
        bound(Value({}), {"data": deep})


def test_a_query_is_read_as_json_or_as_text() -> None:
    fields = (Field("data", Tensor("float64", (-1,))), Field("word", Value({"type": "string"})))
    arguments = Dialects(Signature(fields)).bind(Request(b"", method="GET", query=b"data=%5B1%2C2%5D&word=5"))
    assert (arguments["data"].tolist(), arguments["word"]) == ([1.0, 2.0], "5")

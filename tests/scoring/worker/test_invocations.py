"""/invocations: every body of MLflow and SageMaker clients, and the answers they parse."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value
from fairlead_scoring.worker.dialects import Dialects
from fairlead_scoring.worker.exchange import BadInput, EncodeFault, Request

METHOD = Field("method", Value({"type": "string", "enum": ["predict", "predict_proba"]}), required=False, default="predict")
TABLE = Dialects(Signature((Field("data", Table((Column("a", "float64", nullable=True), Column("b", "str")))), METHOD)))
TENSOR = Dialects(Signature((Field("data", Tensor("float64", (-1, 2))), METHOD)))
PAIR = Dialects(Signature((Field("left", Tensor("float64", (-1, 2))), Field("right", Tensor("int64", (-1,))))))


def asked(dialects: Dialects, body: Any, kind: str = "application/json", accept: str = "*/*") -> tuple[dict[str, Any], Request]:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = Request(raw, dialect="invocations", headers=[(b"content-type", kind.encode()), (b"accept", accept.encode())])
    return dialects.bind(request), request


def rows(dialects: Dialects, body: Any, kind: str = "application/json") -> Any:
    data = asked(dialects, body, kind)[0]["data"]
    return data.replace({np.nan: None}).to_numpy().tolist() if isinstance(data, pd.DataFrame) else data.tolist()


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["b", "a"], "index": [7, 8], "data": [["x", 1], ["y", None]]}},
        {"dataframe_split": {"data": [[1, "x"], [None, "y"]]}},
        {"dataframe_records": [{"a": 1, "b": "x"}, {"b": "y", "a": None}]},
        {"instances": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]},
        {"instances": [[1, "x"], [None, "y"]]},
        {"inputs": {"a": [1, None], "b": ["x", "y"]}},
        {"inputs": {"a": [[1], [None]], "b": [["x"], ["y"]]}},
        {"inputs": {"data": [[1, "x"], [None, "y"]]}},
        {"inputs": [[1, "x"], [None, "y"]]},
        [[1, "x"], [None, "y"]],
    ],
)
def test_frames_and_tensors_fill_a_table(body: Any) -> None:
    assert rows(TABLE, body) == [[1.0, "x"], [None, "y"]]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": [0, 1], "index": [0, 1], "data": [[1, 2], [3, 4]]}},
        {"dataframe_records": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]},
        {"instances": [[1, 2], [3, 4]]},
        {"instances": [{"data": [1, 2]}, {"data": [3, 4]}]},
        {"inputs": [[1, 2], [3, 4]]},
        {"inputs": {"data": [[1, 2], [3, 4]]}},
    ],
)
def test_frames_and_tensors_fill_a_tensor(body: Any) -> None:
    assert rows(TENSOR, body) == [[1.0, 2.0], [3.0, 4.0]]


def test_several_inputs_come_by_name() -> None:
    for body in ({"inputs": {"left": [[1, 2]], "right": [3]}}, {"instances": [{"left": [1, 2], "right": 3}]}):
        arguments, _ = asked(PAIR, body)
        assert (arguments["left"].tolist(), arguments["right"].tolist()) == ([[1.0, 2.0]], [3])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a,b\r\n1,x\r\n,y\r\n", "text/csv"),
        ('b,a\n"x",1\n"y",\n', "text/csv; charset=utf-8"),
        ("1,x\nNaN,y", "text/csv; header=absent"),
        ("c,d\n1,x\n,y", "text/csv; header=absent"),
    ],
)
def test_csv_fills_a_table(text: str, kind: str) -> None:
    if text.startswith("c,d"):
        with pytest.raises(BadInput, match="row 0, column 'a': expected a number or null, got \"c\""):
            rows(TABLE, text, kind)
    else:
        assert rows(TABLE, text, kind) == [[1.0, "x"], [None, "y"]]


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("1,2\n3,4\n", "text/csv", [[1, 2], [3, 4]]),  # SageMaker: no header
        ("x,y\n1,2\n", "text/csv", [[1, 2]]),  # MLflow: a header
        ("0,1\n", "text/csv", [[0, 1]]),  # one row is data, or there would be none
        ("5,6\n1,2\n", "text/csv; header=present", [[1, 2]]),
        ('"1.5","-2e3"', "text/csv", [[1.5, -2000.0]]),
    ],
)
def test_csv_fills_a_tensor(text: str, kind: str, found: Any) -> None:
    assert rows(TENSOR, text, kind) == found


def test_pandas_numbered_header_is_a_header() -> None:
    wide = Dialects(Signature((Field("data", Tensor("float64", (-1, 4))),)))
    assert rows(wide, pd.DataFrame([[5, 6, 7, 8]]).to_csv(index=False), "text/csv") == [[5, 6, 7, 8]]


def test_json_lines() -> None:
    assert rows(TENSOR, '[1, 2]\n\n{"features": [3, 4]}'.replace("[1, 2]", '{"features": [1, 2]}'), "application/jsonlines") == [[1, 2], [3, 4]]
    assert rows(TENSOR, "[1, 2]\n[3, 4]\n", "application/x-jsonlines") == [[1, 2], [3, 4]]
    assert rows(TABLE, '{"a": 1, "b": "\u2028"}\n', "application/jsonlines") == [[1.0, "\u2028"]]


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        ("1,2", "text/plain", 415, "This predictor only supports the content types text/csv, application/json, application/jsonlines. Got 'text/plain'."),
        ("1,2", "", 415, "Got ''."),
        ("1,2", "text/csv; charset=latin-1", 415, "The charset latin-1 is not read here"),
        ({}, "application/json", 400, "exactly one of dataframe_split, dataframe_records, instances, inputs"),
        ({"instances": [], "inputs": []}, "application/json", 400, "exactly one of"),
        ({"columns": [], "data": []}, "application/json", 400, 'its keys are: "columns", "data".'),
        ("7", "application/json", 400, "The input must be a JSON object with one of"),
        ({"instances": []}, "application/json", 400, "data: expected at least one row, got none."),
        ({"instances": [[1, "2"]]}, "application/json", 400, 'data, row 0, column 1: expected a number, got "2".'),
        (
            {"inputs": [[1, 2]], "params": {"temperature": 1}},
            "application/json",
            400,
            "'temperature' is no parameter of this model; its parameters are: method.",
        ),
        ({"inputs": [[1, 2]], "params": []}, "application/json", 400, "params must be an object"),
        ({"dataframe_split": [1]}, "application/json", 400, "dataframe_split must be an object"),
        ({"dataframe_records": {"a": 1}}, "application/json", 400, "dataframe_records must be a list of objects"),
        ({"dataframe_records": [{"x": 1, "y": 2}, {"y": 1, "x": 2}]}, "application/json", 400, "data, row 1: expected the same keys in the same order"),
        ({"inputs": {"nope": 1}}, "application/json", 400, "'nope' is no input of this model"),
        ("", "text/csv", 400, "The CSV body is empty."),
        ("x,y\n", "text/csv", 400, "has a header and no rows"),
        ("1,2\n3\n", "text/csv", 400, "data, row 1: expected 2 values, got 1."),
        ("1,z\n", "text/csv; header=absent", 400, 'expected a number, got "z".'),
        ('1,"2\n', "text/csv", 400, "The body is not CSV: "),
    ],
)
def test_what_does_not_fit_is_the_callers_mistake(body: Any, kind: str, status: int, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        asked(TENSOR, body, kind)
    assert message in caught.value.message
    assert caught.value.status == status


def test_columns_of_unequal_length_are_named() -> None:
    with pytest.raises(BadInput, match=r"the columns differ in length: a has 2, b has 1\."):
        asked(TABLE, {"inputs": {"a": [1, 2], "b": ["x"]}})


@pytest.mark.parametrize(
    ("result", "predictions"),
    [
        (np.array([1, 2]), [1, 2]),
        ({"predict": np.array([[1.5]])}, [[1.5]]),
        (pd.DataFrame({"p": [1], "q": ["z"]}), [{"p": 1, "q": "z"}]),
        ({"label": np.array([1]), "score": [0.5]}, {"label": [1], "score": [0.5]}),
        (np.array([np.nan]), [None]),
        ("text", "text"),
    ],
)
def test_the_answer_is_predictions(result: Any, predictions: Any) -> None:
    _, request = asked(TENSOR, {"inputs": [[1, 2]]})
    assert request.reply is not None
    body = request.reply(result).body
    assert isinstance(body, bytes)
    assert json.loads(body) == {"predictions": predictions}


def test_sagemaker_is_answered_in_kind() -> None:
    _, request = asked(TENSOR, "1,2\n3,4", "text/csv", "text/csv")
    assert request.reply is not None
    answer = request.reply({"predict": np.array([[0.5, 1], [2, float("nan")]])})
    assert (answer.body, answer.content_type) == (b"0.5,1.0\n2.0,\n", "text/csv")
    assert request.reply(["a,b", 'c"']).body == b'"a,b"\n"c"""\n'
    _, request = asked(TENSOR, "1,2", "text/csv", "application/jsonlines")
    assert request.reply is not None
    assert request.reply(pd.DataFrame({"p": [1, 2]})).body == b'{"p":1}\n{"p":2}\n'


def test_a_stream_has_no_predictions() -> None:
    _, request = asked(TENSOR, {"inputs": [[1, 2]]})
    assert request.reply is not None
    with pytest.raises(EncodeFault, match="only /score can pass on"):
        request.reply(iter([1]))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]]}}, "application/json"),
        ({"dataframe_records": [{"a": 1, "b": "x"}]}, "application/json"),
        ({"inputs": {"data": [{"a": 1, "b": "x"}]}}, "application/json"),
        ("a,b\n1,x\n", "text/csv"),
        ('{"a": 1, "b": "x"}', "application/jsonlines"),
    ],
)
def test_undeclared_columns_come_as_records(body: Any, kind: str) -> None:
    loose = Dialects(Signature((Field("data", Value({"type": "array", "items": {"type": "object"}})),)), converters={"data": pd.DataFrame})
    assert asked(loose, body, kind)[0]["data"].to_dict(orient="records") == [{"a": 1, "b": "x"}]

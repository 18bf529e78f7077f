"""The dialect of the designer, AutoML and Power BI: `Inputs` and `GlobalParameters` in, `Results` out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value
from fairlead_scoring.worker.dialects import Dialects
from fairlead_scoring.worker.exchange import BadInput, Request

METHOD = Field("method", Value({"type": "string", "enum": ["predict", "predict_proba"]}), required=False, default="predict_proba")
DIALECTS = Dialects(
    Signature((Field("data", Table((Column("a", "float64"), Column("b", "float64")))), METHOD)),
    {"designer": {"method": "predict"}},
)


def asked(body: Any, dialects: Dialects = DIALECTS) -> tuple[dict[str, Any], Request]:
    request = Request(json.dumps(body).encode())
    return dialects.bind(request), request


def answered(request: Request, result: Any) -> Any:
    assert request.reply is not None
    body = request.reply(result).body
    assert isinstance(body, bytes)
    return json.loads(body)


def test_designer_is_answered_with_records_under_its_own_name() -> None:
    arguments, request = asked({"Inputs": {"WebServiceInput0": [{"a": 1, "b": 2}]}, "GlobalParameters": {}})
    assert arguments["data"].to_dict(orient="records") == [{"a": 1.0, "b": 2.0}]
    assert arguments["method"] == "predict"
    assert answered(request, {"predict": np.array([3])}) == {"Results": {"WebServiceOutput0": [{"predict": 3}]}}
    assert answered(request, pd.DataFrame({"Scored Labels": [1]})) == {"Results": {"WebServiceOutput0": [{"Scored Labels": 1}]}}
    assert answered(request, {"label": [1, 2], "score": np.array([0.5, 0.25])})["Results"]["WebServiceOutput0"][1] == {"label": 2, "score": 0.25}


def test_automl_is_answered_with_a_list() -> None:
    arguments, request = asked({"Inputs": {"data": [{"a": 1, "b": 2}]}, "GlobalParameters": {"method": "predict_proba"}})
    assert arguments["method"] == "predict_proba"
    assert answered(request, {"predict_proba": np.array([[0.25, 0.75]])}) == {"Results": [[0.25, 0.75]]}


def test_a_studio_table_and_a_number_for_parameters() -> None:
    arguments, _ = asked({"Inputs": {"input1": {"ColumnNames": ["b", "a"], "Values": [[2, 1]]}}, "GlobalParameters": 1.0})
    assert arguments["data"].to_numpy().tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"Inputs": []}, "Inputs must be an object such as"),
        ({"Inputs": {}}, "Inputs must be an object such as"),
        ({"Inputs": {"x": [[1, 2]]}, "globalParameters": {}}, "'globalParameters' does not belong beside Inputs"),
        ({"Inputs": {"x": [[1, 2]]}, "GlobalParameters": []}, "GlobalParameters must be an object"),
        ({"Inputs": {"x": [[1, 2]]}, "GlobalParameters": {"quantiles": []}}, "'quantiles' is unknown; the parameters are: method."),
        ({"Inputs": {"x": [[1, 2]]}, "GlobalParameters": {"method": "fit"}}, "method: expected one of"),
        ({"Inputs": {"x": [[1, 2]], "y": [[1, 2]]}}, 'Inputs: the keys are "x", "y", this service takes: data.'),
        ({"Inputs": {"x": [[1, "2"]]}}, "data, row 0, column 'b': expected a number"),
        ({"inputs": {"data": [[1, 2]]}}, "'inputs' is no input of this service"),
    ],
)
def test_what_does_not_fit_is_the_callers_mistake(body: Any, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        asked(body)
    assert message in caught.value.message


def test_a_script_that_declares_inputs_itself_wins() -> None:
    own = Dialects(Signature((Field("Inputs", Value({"type": "object"})), Field("GlobalParameters", Tensor("float64", ())))))
    arguments, request = asked({"Inputs": {"data": [1]}, "GlobalParameters": 2.5}, own)
    assert arguments["Inputs"] == {"data": [1]}
    assert request.reply is None

"""What differs between versions, and whether callers of one can call the other."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.server.registry.compatibility import judge
from tests.fairlead.server.registry.given import registered, uploaded


def tensor(dtype: str = "float64", shape: list[int] | None = None, **more: Any) -> dict[str, Any]:
    return {"kind": "tensor", "dtype": dtype, "shape": shape, **more}


def table(*columns: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "table", "columns": list(columns)}


def column(name: str = "age", dtype: str = "int64", **more: Any) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, **more}


def value(**schema: Any) -> dict[str, Any]:
    return {"kind": "value", "schema": schema}


def takes(kind: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "data", "type": kind, **more}], "output": None}


def answers(kind: dict[str, Any]) -> dict[str, Any]:
    return {"inputs": [], "output": {"name": "result", "type": kind}}


DATA = {"name": "data", "type": tensor(shape=[-1, 4])}
OPTIONAL = {"name": "method", "type": value(type="string"), "required": False, "default": "predict"}
REQUIRED = {"name": "method", "type": value(type="string")}
ADULT = column(minimum=18)


@pytest.mark.parametrize(
    ("first", "second", "verdict", "reason"),
    [
        (takes(tensor()), takes(tensor()), "same", ""),
        (takes(tensor(), example=[1.0]), takes(tensor(), example=[2.0]), "same", ""),
        ({"inputs": [DATA]}, {"inputs": [DATA, OPTIONAL]}, "compatible", "'method' is new and optional"),
        ({"inputs": [DATA]}, {"inputs": [DATA, REQUIRED]}, "breaking", "'method' is new and required"),
        ({"inputs": [DATA, OPTIONAL]}, {"inputs": [DATA]}, "breaking", "'method' is gone"),
        ({"inputs": [DATA, REQUIRED]}, {"inputs": [DATA, OPTIONAL]}, "compatible", "'method' is optional now"),
        ({"inputs": [DATA, OPTIONAL]}, {"inputs": [DATA, REQUIRED]}, "breaking", "'method' is required now"),
        (takes(tensor("int64")), takes(tensor("float64")), "compatible", "takes more than before"),
        (takes(tensor("float64")), takes(tensor("int64")), "breaking", "was float64, is int64"),
        (takes(tensor("float64")), takes(tensor("float32")), "breaking", "was float64, is float32"),
        (takes(tensor("int8")), takes(tensor("int32")), "compatible", "takes more"),
        (takes(tensor("uint8")), takes(tensor("int8")), "breaking", "was uint8, is int8"),
        (takes(tensor(shape=[-1, 4])), takes(tensor(shape=[-1, -1])), "compatible", "takes more"),
        (takes(tensor(shape=[-1, 4])), takes(tensor()), "compatible", "takes more"),
        (takes(tensor(shape=[-1, 4])), takes(tensor(shape=[-1, 5])), "breaking", "had the shape [-1, 4], has [-1, 5]"),
        (takes(tensor(shape=[-1, -1])), takes(tensor(shape=[-1, 4])), "breaking", "had the shape"),
        (takes(tensor(nulls=True)), takes(tensor()), "breaking", "null is not taken any more"),
        (takes(table(column())), takes(table(column(), column("sex", "str"))), "breaking", "the column 'sex' is new"),
        (takes(table(column(), column("sex", "str"))), takes(table(column())), "breaking", "the column 'sex' is gone"),
        (takes(table(column(), column("sex", "str"))), takes(table(column("sex", "str"), column())), "breaking", "another order"),
        (takes(table(column())), takes(table(column(nullable=True))), "compatible", "takes more"),
        (takes(table(column())), takes(table(ADULT)), "breaking", "column 'age': must be at least 18 now"),
        (takes(table(ADULT)), takes(table(column(minimum=16))), "compatible", "takes more"),
        (takes(table(ADULT)), takes(table(column(minimum=21))), "breaking", "must be at least 21 now, was 18"),
        (takes(table(column(maximum=9))), takes(table(column(maximum=5))), "breaking", "at most 5 now, was 9"),
        (takes(table(column("sex", "str", categories=["m", "f"]))), takes(table(column("sex", "str", categories=["m"]))), "breaking", '"f" is not taken'),
        (takes(table(column("sex", "str", categories=["m"]))), takes(table(column("sex", "str", categories=["m", "f"]))), "compatible", "takes more"),
        (takes(table(column("sex", "str"))), takes(table(column("sex", "str", categories=["m"]))), "breaking", 'takes only "m" now'),
        (takes(tensor()), takes(table(column())), "breaking", "was a tensor, is a table"),
        (takes(tensor()), takes(value()), "compatible", "takes more"),
        (takes(value(type="integer")), takes(value(type="number")), "compatible", "takes more"),
        (takes(value(type="number")), takes(value(type="integer")), "breaking", "was number, is integer"),
        (takes(value(type="string", maxLength=9)), takes(value(type="string", maxLength=5)), "breaking", "maxLength is 5 now, was 9"),
        (takes(value(type="string")), takes(value(type="string", pattern="^a")), "breaking", "has another pattern"),
        (takes(value(type="string", enum=["a"])), takes(value(type="string", enum=["a", "b"])), "compatible", "takes more"),
        (takes(value(type=["string", "null"])), takes(value(type="string")), "breaking", "was null or string, is string"),
        (takes(value(type="object")), takes(value(type="object", required=["a"])), "breaking", "'a' is required now"),
        (takes(value(type="object", title="x")), takes(value(type="object", title="y")), "compatible", ""),
        (
            takes(value(type="object", properties={"a": {"type": "integer"}})),
            takes(value(type="object", properties={"a": {"type": "integer", "minimum": 0}})),
            "breaking",
            "Input 'data'.a: minimum is 0 now",
        ),
        (
            takes(value(type="object", properties={"a": {}})),
            takes(value(type="object", properties={}, additionalProperties=False)),
            "breaking",
            "'a' is gone",
        ),
        (takes(value(type="array", items={"type": "number"})), takes(value(type="array", items={"type": "string"})), "breaking", "[]: was number"),
        (answers(tensor("int64")), answers(tensor("float64")), "breaking", "may be what it could not be before"),
        (answers(tensor("float64")), answers(tensor("int64")), "compatible", ""),
        (answers(table(column())), answers(table(column(), column("score", "float64"))), "compatible", ""),
        (answers(table(column(), column("score", "float64"))), answers(table(column())), "breaking", "Output: the column 'score' is gone"),
        (answers(table(column())), answers(table(column(nullable=True))), "breaking", "'age' may hold what it could not before"),
        (answers(tensor()), takes(tensor()) | {"inputs": []}, "breaking", "The output is not declared any more"),
        ({"inputs": [DATA]}, None, "unknown", "The second version has no schema"),
        (None, {"inputs": [DATA]}, "unknown", "The first version has no schema"),
        (None, None, "unknown", "Neither version has a schema"),
        ({"inputs": "x"}, {"inputs": [DATA]}, "unknown", "A schema cannot be read"),
    ],
)
def test_callers_of_the_first_can_call_the_second(first: Any, second: Any, verdict: str, reason: str) -> None:
    said, reasons = judge(first, second)
    assert (said, [each for each in reasons if reason in each] != []) == (verdict, verdict != "same"), reasons


def test_a_difference_tells_metadata_metrics_and_files(owner: Transport) -> None:
    registered(owner, tree=uploaded(owner, weights="1", gone="x"), tags={"stage": "trial"}, metrics={"auc": 0.8}, model_schema={"inputs": [DATA]})
    after: dict[str, Any] = {"tags": {"stage": "prod"}, "metrics": {"auc": 0.9, "f1": 0.5}, "framework": "Onnx", "lineage": {"run_id": "r"}}
    registered(owner, tree=uploaded(owner, weights="2", new="y"), model_schema={"inputs": [DATA, REQUIRED]}, **after)
    found = models.difference(owner, "churn:1", "churn:2")
    assert (found.first, found.second, found.compatibility) == ("churn:1", "churn:2", "breaking")
    assert found.files == {"added": ["new"], "removed": ["gone"], "changed": ["weights"]}
    assert found.metrics == {"auc": [0.8, 0.9], "f1": [None, 0.5]}
    assert found.metadata == {"framework": [None, "Onnx"], "tags.stage": ["trial", "prod"], "lineage.run_id": [None, "r"]}
    models.move_alias(owner, "churn:2", "champion")
    path = owner.path("models", "churn", "versions", "1", "diff")
    for said in ("2", "latest", "@champion", "churn:2", "churn@champion"):
        assert owner.http.get(path, params={"with": said}).json()["second"] == "churn:2"
    same = models.difference(owner, "churn:2", "churn:2")
    assert (same.compatibility, same.metadata, same.metrics, same.files["changed"]) == ("same", {}, {}, [])

"""A flavor's script in the hands of the worker: bodies in, answers out, on every dialect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import pytest
from fairlead_scoring.worker.exchange import BadInput, Request
from fairlead_scoring.worker.script import Script, load
from onnx import TensorProto, helper
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from fairlead.flavors import get

IRIS, SPECIES = load_iris(return_X_y=True)
ROWS = IRIS[[0, 60, 120]].tolist()


def started(folder: Path, flavor: str, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
    app_root = folder.parent / f"{folder.name}-app"
    app_root.mkdir()
    (app_root / "score.py").write_text(get(flavor).score_py)
    script = load(app_root / "score.py", app_root, None)
    script.init()
    return script


def answered(script: Script, body: Any, dialect: str = "score") -> Any:
    request = Request(json.dumps(body).encode(), dialect=dialect, headers=[(b"content-type", b"application/json")])
    answer = script.encode(script.run(script.bind(request)), request)
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


@pytest.fixture
def classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    folder = tmp_path / "model"
    folder.mkdir()
    joblib.dump(LogisticRegression(max_iter=500).fit(IRIS, SPECIES), folder / "model.pkl")
    return started(folder, "scikit-learn", monkeypatch)


def test_the_no_code_route_answers_under_the_name_of_the_method(classifier: Script) -> None:
    assert answered(classifier, {"data": ROWS, "method": "predict"}) == {"predict": [0, 1, 2]}
    [(method, scores)] = answered(classifier, {"data": ROWS}).items()
    assert method == "predict_proba"
    assert [max(range(3), key=row.__getitem__) for row in scores] == [0, 1, 2]
    assert list(answered(classifier, ROWS)) == ["predict_proba"]
    with pytest.raises(BadInput, match="data, row 1"):
        answered(classifier, {"data": [ROWS[0], [1, 2]]})


def test_other_clients_get_predictions_by_default(classifier: Script) -> None:
    assert answered(classifier, {"inputs": ROWS}, "invocations") == {"predictions": [0, 1, 2]}
    tensor = {"name": "data", "shape": [3, 4], "datatype": "FP64", "data": ROWS}
    [output] = answered(classifier, {"inputs": [tensor]}, "v2")["outputs"]
    assert (output["shape"], output["data"]) == ([3], [0, 1, 2])


def test_a_classifier_is_batched(classifier: Script) -> None:
    assert classifier.contract()["batching"] == {"max_rows": 256, "max_wait_ms": 0.0, "parameter": "data"}


def test_a_graph_of_two_inputs_takes_both_by_name_and_is_not_batched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("left", "right:0")]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [None, 2])]
    graph = helper.make_graph([helper.make_node("Add", ["left", "right:0"], ["sum"])], "g", inputs, outputs)
    folder = tmp_path / "model"
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    script = started(folder, "onnx", monkeypatch)
    assert answered(script, {"left": [[1, 2]], "right:0": [[10, 20]]}) == {"sum": [[11.0, 22.0]]}
    assert script.contract()["batching"] is None
    with pytest.raises(BadInput, match="right:0"):
        answered(script, {"left": [[1, 2]]})

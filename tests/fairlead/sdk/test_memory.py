"""Models in memory: how they are saved, what is recorded of them, and what is refused."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import fairlead
from fairlead import BootFailure, Model, UsageError, Workspace
from fairlead.sdk import saving
from fairlead.sdk.sample_rows import differs, first_rows, request_of

FRAME = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0], "visits": [1, 0, 3, 4]})
LABELS = ["no", "no", "yes", "yes"]


def classifier() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, LABELS)


def test_a_pipeline_is_registered_deployed_and_answers_as_in_memory(ws: Workspace) -> None:
    model = classifier()
    registered = fairlead.register(model, "churn", sample=FRAME, tags={"stage": "trial"}, metrics={"auc": 0.9}, description="d", run_id="r-1")
    facts = registered.serialize()
    assert (registered.id, registered.run_id, registered.model_framework) == ("churn:1", "r-1", "ScikitLearn")
    assert json.loads(facts["sample_input"])["data"][0] == {"age": 20.0, "visits": 1}
    assert json.loads(facts["sample_output"]) == {"predict": LABELS[:3]}
    assert [each["name"] for each in facts["model_schema"]["inputs"]] == ["data", "method"]
    assert any(line.startswith("scikit-learn==") for line in facts["requirements"])
    assert facts["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    service = Model.deploy(ws, "churn", [registered])
    service.wait_for_deployment()
    assert service.run() == {"predict": model.predict(FRAME[:3]).tolist()}


def test_the_name_is_what_the_model_is(ws: Workspace) -> None:
    assert fairlead.register(classifier(), workspace=ws).name == "logistic-regression"


def test_a_path_is_registered_as_it_is(ws: Workspace, tmp_path: Path) -> None:
    path = saving.save(classifier(), tmp_path)
    made = fairlead.register(path, sample={"data": [{"age": 1, "visits": 2}]})
    assert (made.name, json.loads(made.serialize()["sample_input"])) == ("logistic-regression", {"data": [{"age": 1, "visits": 2}]})


def test_a_model_is_served_in_the_background_and_ends() -> None:
    with fairlead.serve(classifier(), sample=FRAME) as service:
        assert service.run({"data": [{"age": 50, "visits": 4}], "method": "predict"}) == {"predict": ["yes"]}
        assert service.run() == {"predict": LABELS[:3]}
        assert (service.state, service.scoring_uri) == ("Healthy", f"{service.url}/score")
        assert "Ready" in service.get_logs()
    assert service.state == "Stopped"
    service.stop()
    with pytest.raises(UsageError, match="has ended"):
        service.run()


def test_a_script_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): raise RuntimeError('no model here')\ndef run(data): ...\n")
    with pytest.raises(BootFailure, match="did not start"):
        fairlead.serve(tmp_path / "score.py")


def test_scikit_learn_is_saved_as_skops_or_else_as_joblib(tmp_path: Path) -> None:
    assert saving.save(classifier(), tmp_path).name == "logistic-regression.skops"
    assert saving.save(RandomForestRegressor(3).fit(FRAME, [1, 2, 3, 4]), tmp_path).suffix == ".skops"
    odd = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(FRAME, LABELS)
    assert saving.save(odd, tmp_path).suffix in (".skops", ".joblib")


@pytest.mark.parametrize("kind", ["xgboost", "booster", "lightgbm", "lightgbm booster"])
def test_boosters_are_saved_by_their_own_library(ws: Workspace, kind: str) -> None:
    rows = np.random.default_rng(0).random((60, 3))
    labels = (rows[:, 0] > 0.5).astype(int)
    if "xgb" in kind or kind == "booster":
        from xgboost import XGBClassifier  # noqa: PLC0415 - half of the cases need it

        fitted = XGBClassifier(n_estimators=3).fit(rows, labels)
        model = fitted.get_booster() if kind == "booster" else fitted
    else:
        from lightgbm import LGBMClassifier  # noqa: PLC0415 - the other half

        fitted = LGBMClassifier(n_estimators=3, verbose=-1, min_child_samples=2).fit(rows, labels)
        model = fitted.booster_ if "booster" in kind else fitted
    made = fairlead.register(model, "boosted", sample=rows)
    assert json.loads(made.serialize()["sample_output"]) == {"predict": fitted.predict(rows[:3]).tolist()}


@pytest.mark.needs("torch")
def test_a_torch_module_is_exported_with_its_sample(ws: Workspace) -> None:
    import torch  # noqa: PLC0415 - large

    module = torch.nn.Linear(3, 2)
    sample = torch.ones(4, 3)
    with pytest.raises(UsageError, match="give sample="):
        fairlead.register(module, "linear")
    made = fairlead.register(module, "linear", sample=sample)
    assert np.allclose(json.loads(made.serialize()["sample_output"])["output"], module(sample[:3]).tolist(), atol=1e-5)


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (lambda data: data, "Put it into a score.py as run()"),
        (LogisticRegression, "LogisticRegression is a class, not a model"),
        (3, "A int is no model"),
        (object(), "has none of predict"),
        ("absent.pkl", "absent.pkl does not exist|absent.pkl is not there"),
    ],
)
def test_what_is_no_model_is_refused(ws: Workspace, thing: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        fairlead.serve(thing)
    with pytest.raises(UsageError, match=says.replace("does not exist", "is not there")):
        fairlead.register(thing, "odd")


NOTEBOOK = """
import fairlead
from sklearn.base import BaseEstimator
class Mine(BaseEstimator):
    def predict(self, rows): return [0 for _ in rows]
try:
    fairlead.register(Mine(), "mine", sample=[[1.0]])
except fairlead.UsageError as error:
    print(error)
"""


def test_a_class_of_the_notebook_itself_is_refused_with_the_cure(ws: Workspace) -> None:
    shown = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True)
    assert shown.stdout.startswith("Mine is defined in this notebook or script, so no other process can load the model. Move it into a module"), shown.stderr
    assert Model.list(ws) == []


def test_a_module_beside_the_program_is_no_package(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_features.py").write_text("def double(rows): return rows * 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    my_features: Any = importlib.import_module("my_features")

    model = make_pipeline(FunctionTransformer(my_features.double), LogisticRegression()).fit(FRAME, LABELS)
    with pytest.raises(UsageError, match=r"does not work in a new process: .*my_features.* must be an installed package"):
        fairlead.register(model, "own", sample=FRAME)


def test_a_sample_that_does_not_fit_is_refused(ws: Workspace) -> None:
    with pytest.raises(UsageError, match="does not work in a new process"):
        fairlead.register(classifier(), "churn", sample=[["a", "b"]])
    with pytest.raises(UsageError, match="must be rows"):
        fairlead.register(classifier(), "churn", sample=3)
    assert Model.list(ws) == []


@pytest.mark.parametrize(
    ("sample", "rows"),
    [
        (FRAME, [{"age": 20.0, "visits": 1}, {"age": 30.0, "visits": 0}, {"age": 40.0, "visits": 3}]),
        (FRAME.to_numpy(), [{"age": 20.0, "visits": 1.0}, {"age": 30.0, "visits": 0.0}, {"age": 40.0, "visits": 3.0}]),
        ([[1, 2]], [{"age": 1, "visits": 2}]),
    ],
)
def test_rows_become_a_request(sample: Any, rows: list[Any]) -> None:
    assert json.loads(request_of(classifier(), sample) or "") == {"data": rows, "method": "predict"}
    assert len(first_rows(sample)) <= 3


def test_a_request_body_stays_as_it_is() -> None:
    assert request_of(classifier(), {"data": [[1]]}) == '{"data": [[1]]}'
    assert request_of(classifier(), '{"data": 1}') == '{"data": 1}'
    assert (request_of(classifier(), None), first_rows({"data": 1})) == (None, None)
    with pytest.raises(UsageError, match="several inputs"):
        request_of(classifier(), ([1], [2]))


def test_the_first_difference_is_named() -> None:
    assert differs(np.array([1.0, 2.0]), [1.0, 2.0000001]) is None
    assert differs([["a"], ["b"]], [["a"], ["c"]]) == "row 1: row 0: 'b' here, 'c' there"
    assert differs([float("nan")], [float("nan")]) is None
    assert differs([1], [1, 2]) == "[1] here, [1, 2] there"

"""Compiled models answer like their originals on rows that sit on the thresholds; a conversion that does not is refused with a row."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead.flavors import CompileRefused
from fairlead.flavors.compile import compile_if_proved, compile_onnx
from fairlead.flavors.prover import proof
from fairlead.flavors.prover.forest import Forest, Tree
from fairlead.flavors.prover.rows import generated

from .conftest import Serve

CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)
NAMES = (IRIS[0], np.array(["setosa", "versicolor", "virginica"])[IRIS[1]])
DIABETES = load_diabetes(return_X_y=True)

EXACT = 1e-12
MODELS: dict[str, tuple[Any, Any, float]] = {
    "forest with tied votes": (RandomForestClassifier(10, random_state=0), CANCER, 0.0),
    "forest with mixed leaves, three names": (RandomForestClassifier(8, max_depth=3, random_state=0), NAMES, 0.0),
    "trees of a regression": (ExtraTreesRegressor(8, random_state=0), DIABETES, EXACT),
    "gradient boosting": (GradientBoostingClassifier(n_estimators=8), CANCER, EXACT),
    "histograms": (HistGradientBoostingClassifier(max_iter=8), IRIS, EXACT),
    "histograms, poisson": (HistGradientBoostingRegressor(max_iter=8, loss="poisson"), DIABETES, EXACT),
    "scaled forest, nulls imputed": (make_pipeline(SimpleImputer(), StandardScaler(), RandomForestClassifier(8, random_state=0)), CANCER, 0.0),
    "linear": (make_pipeline(StandardScaler(), LogisticRegression()), NAMES, EXACT),
    "xgboost": (xgboost.XGBClassifier(n_estimators=8), CANCER, 1e-6),
    "xgboost, three classes": (xgboost.XGBClassifier(n_estimators=5), IRIS, 1e-6),
    "lightgbm": (lightgbm.LGBMClassifier(n_estimators=8, verbose=-1), NAMES, EXACT),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_model_answers_like_the_original(tmp_path: Path, serve: Serve, name: str) -> None:
    model, (rows, target), tolerance = MODELS[name]
    path = tmp_path / "model.joblib"
    joblib.dump(model.fit(rows, target), path)
    result = compile_onnx(path, rows[:40].tolist(), tolerance=tolerance, rows=2000)
    assert result.proof["worst"]["difference"] <= tolerance
    assert result.proof["rows"] == 2040
    assert result.proof["beside_thresholds"] == (0 if name == "linear" else 1000)
    assert result.proof["versions"]["onnxruntime"]
    assert result.proof.get("trees") == (None if name == "linear" else {"faster": True, "equal_rows": 2040})
    compiled = tmp_path / "compiled.onnx"
    compiled.write_bytes(result.onnx)
    served = serve(compiled)
    assert served.methods == result.proof["methods"]
    assert served.said["inputs"][0]["type"]["dtype"] == "float64"
    answers = served.run(data=rows, method="predict")["predict"]
    assert len(answers) == len(rows)
    assert not hasattr(model, "classes_") or list(answers) == list(model.predict(rows))


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_the_libraries_own_formats_compile(tmp_path: Path, library: str) -> None:
    rows, target = CANCER
    if library == "xgboost":
        path = tmp_path / "model.ubj"
        xgboost.XGBClassifier(n_estimators=4).fit(rows, target).save_model(path)
    else:
        path = tmp_path / "model.txt"
        lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(rows, target).booster_.save_model(path)
    result = compile_onnx(path, rows[:20].tolist(), rows=1000)
    assert result.proof["methods"] == ["predict_proba", "predict"]
    assert result.proof["nulls"] is True


def test_what_has_no_conversion_is_kept_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    stacked = StackingClassifier([("a", HistGradientBoostingClassifier(max_iter=2))], final_estimator=LogisticRegression()).fit(*IRIS)
    joblib.dump(make_pipeline(stacked), path)
    kept = compile_if_proved(path, IRIS[0][:5].tolist())
    assert isinstance(kept, str) or kept.proof["worst"]["difference"] <= 1e-5
    (tmp_path / "w.txt").write_text("text")
    assert "flavor unknown" in str(compile_if_proved(tmp_path / "w.txt"))


def test_a_tolerance_that_is_not_met_is_refused_with_the_worst_row(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(xgboost.XGBRegressor(n_estimators=20).fit(*DIABETES), path)
    with pytest.raises(CompileRefused, match=r"scores differ by .* the worst row \[.*\] gives"):
        compile_onnx(path, DIABETES[0][:20].tolist(), tolerance=0.0, rows=1000)


def test_a_sample_of_another_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(LinearRegression().fit(*DIABETES), path)
    with pytest.raises(CompileRefused, match="rows of 3 numbers, the model takes 10"):
        compile_onnx(path, [[1, 2, 3]])


def test_an_interpreter_without_the_libraries_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(LinearRegression().fit(*DIABETES), path)
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(CompileRefused, match="could not compile the model: ModuleNotFoundError"):
        compile_onnx(path, python=bare)


class Script:
    """Stands for a score.py: a forest of one split, on the threshold or beside it."""

    def __init__(self, threshold: float, width: float = 1.0) -> None:
        self.threshold, self.width = threshold, width

    def run(self, data: Any, method: str) -> dict[str, Any]:
        left = data[:, 0].astype(np.float32) <= np.float64(self.threshold)
        return {method: left.astype(int) if method == "predict" else np.where(left, 0.25 * self.width, 0.75)}


THRESHOLD = 0.1  # not a float32: rounded up, it lets one float32 more to the left
TREE = Tree(np.array([0, 0, 0]), np.array([THRESHOLD, 0, 0]), np.array([1, -1, -1]), np.array([2, -1, -1]), np.zeros(3), np.array([[0.0], [0.25], [0.75]]))


def test_the_rows_find_a_threshold_that_was_rounded() -> None:
    rows, beside = generated(np.array([[0.5, 0.5]]), [(Forest([TREE], 1), [])], False, 100, 0)
    assert beside == 50
    rounded = float(np.float32(THRESHOLD))
    assert rounded > THRESHOLD
    said = proof._compare(Script(THRESHOLD), Script(rounded), rows, ["predict_proba", "predict"], 1e-5, None)
    assert "scores differ by 0.5" in said["refused"]
    assert said["worst"]["row"][0] == pytest.approx(THRESHOLD)
    said = proof._compare(Script(THRESHOLD, 1.0000001), Script(THRESHOLD), rows, ["predict_proba", "predict"], 1e-5, None)
    assert "refused" not in said


def test_labels_must_be_identical_whatever_the_tolerance() -> None:
    rows, _ = generated(np.array([[0.5, 0.5]]), [(Forest([TREE], 1), [])], False, 100, 0)
    said = proof._compare(Script(THRESHOLD), Script(float(np.float32(THRESHOLD))), rows, ["predict", "predict_proba"], 10.0, None)
    assert "labels differ" in said["refused"]


def test_rows_reach_every_split_and_hold_nulls_where_allowed() -> None:
    rows, beside = generated(np.array([[0.5, 0.5], [2.0, 3.0]]), [(Forest([TREE], 1), [])], True, 400, 1)
    near = np.abs(rows[2 : 2 + beside, 0] - THRESHOLD) <= np.spacing(np.float32(THRESHOLD))
    assert near.all()
    assert np.isnan(rows[2 + beside :]).any()
    assert np.nanmax(rows[2 + beside :]) > 9

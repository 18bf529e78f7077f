"""Scores an XGBoost model (.ubj or .json). Written by Fairlead; yours to change.

{"data": [[...], ...], "method": "predict"} answers {"predict": [...]}: class numbers for a classifier, as XGBClassifier gives them. null is a missing value.
"""

from __future__ import annotations

import json
from typing import Any

import fairlead_scoring
import numpy as np
import xgboost
from fairlead_scoring.artifact import model_file, threads
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value

booster: Any = None
task = "regression"  # or "binary", "multiclass"
rounds = (0, 0)  # all trees, or those up to the best of early stopping
direct = True  # inplace_predict skips the DMatrix; linear boosters need one


def init() -> None:
    global booster, task, rounds, direct
    booster = xgboost.Booster()
    booster.load_model(str(model_file(".ubj", ".json", ".bst", ".xgb", ".model")))
    booster.set_param({"nthread": threads()})
    if any(kind == "c" for kind in booster.feature_types or []):
        raise TypeError("The model was trained on categorical columns, whose codes the file does not explain. Write a score.py that makes them.")
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    task = "binary" if objective.startswith("binary:") else "multiclass" if objective.startswith("multi:") else "regression"
    direct = learner["gradient_booster"]["name"] != "gblinear"
    best = booster.attr("best_iteration")
    rounds = (0, int(best) + 1) if best is not None else (0, 0)


@fairlead_scoring.typed
@fairlead_scoring.batched(max_rows=256)
def run(data: Any, method: str = "predict") -> dict[str, Any]:
    rows = np.ascontiguousarray(data.to_numpy(dtype="float32", na_value=np.nan) if hasattr(data, "to_numpy") else data)
    if task == "regression":
        return {method: raw(rows, margin=False)}
    if method == "predict_margin":
        return {method: raw(rows, margin=True)}
    scores = probabilities(rows)
    return {method: scores if method == "predict_proba" else (scores[:, 1] > 0.5).astype(int) if task == "binary" else scores.argmax(axis=1)}


def describe() -> dict[str, Any]:
    names = booster.feature_names
    width = int(booster.num_features())
    data = Table(tuple(Column(name, "float64", nullable=True) for name in names)) if names else Tensor("float64", (-1, width), nulls=True)
    sample: list[Any] = [dict.fromkeys(names, 0.0)] if names else [[0.0] * width]
    offered = ["predict"] if task == "regression" else ["predict_proba", "predict", "predict_margin"]
    inputs = (
        Field("data", data, example=sample),
        Field("method", Value({"type": "string", "enum": offered}), required=False, default=offered[0]),
    )
    answer = {"type": "object", "properties": {name: {"type": "array", "items": {}} for name in offered}, "additionalProperties": False}
    plain = {"method": "predict"}
    said = Signature(inputs, Field("output", Value(answer))).to_json()
    return {**said, "sample": {"data": sample}, "platform": "xgboost", "defaults": {"v2": plain, "invocations": plain, "designer": plain}}


def raw(rows: Any, *, margin: bool) -> Any:
    if direct:
        return booster.inplace_predict(rows, iteration_range=rounds, predict_type="margin" if margin else "value", validate_features=False)
    return booster.predict(xgboost.DMatrix(rows, feature_names=booster.feature_names), output_margin=margin, iteration_range=rounds)


def probabilities(rows: Any) -> Any:
    """One column per class; multi:softmax gives classes only, so its probabilities come from the margins."""
    if task == "binary":
        positive = raw(rows, margin=False)
        return np.stack([1 - positive, positive], axis=1)
    scores = raw(rows, margin=False)
    if scores.ndim == 2:
        return scores
    margins = raw(rows, margin=True)
    shifted = np.exp(margins - margins.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)

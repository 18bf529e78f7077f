"""Scores a LightGBM model (the text file that Booster.save_model writes). Written by Fairlead; yours to change.

{"data": [[...], ...], "method": "predict"} answers {"predict": [...]}: class numbers for a classifier. null is a missing value.
"""

from __future__ import annotations

import json
import re
from typing import Any

import fairlead_scoring
import lightgbm
import numpy as np
from fairlead_scoring.artifact import model_file, threads
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value

booster: Any = None
task = "regression"  # or "binary", "multiclass"
categories: dict[str, list[Any]] = {}  # columns that pandas had as categories, with their values in code order
nthread = 1


def init() -> None:
    global booster, task, categories, nthread
    path = model_file(".txt", ".lgb", ".lgbm", ".model")
    booster = lightgbm.Booster(model_file=str(path))
    nthread = threads()
    text = path.read_text(encoding="utf-8")
    objective = said(text, "objective").split(" ")[0]
    task = "binary" if objective in ("binary", "cross_entropy") else "multiclass" if objective.startswith("multiclass") else "regression"
    found = re.search(r"^pandas_categorical:(\[.*\])$", text, re.MULTILINE)
    values = json.loads(found.group(1)) if found else []
    ranges = dict(zip(booster.feature_name(), said(text, "feature_infos").split(" ")))
    chosen = [name for name, each in ranges.items() if not each.startswith("[") and each != "none"]
    categories = dict(zip(chosen, values))


@fairlead_scoring.typed
@fairlead_scoring.batched(max_rows=256)
def run(data: Any, method: str = "predict") -> dict[str, Any]:
    scores = booster.predict(rows(data), num_threads=nthread, raw_score=method == "predict_margin")
    if task == "regression" or method == "predict_margin":
        return {method: scores}
    if method == "predict_proba":
        return {method: scores if task == "multiclass" else np.stack([1 - scores, scores], axis=1)}
    return {method: scores.argmax(axis=1) if task == "multiclass" else (scores > 0.5).astype(int)}


def describe() -> dict[str, Any]:
    names = booster.feature_name()
    named = bool(categories) or names != [f"Column_{index}" for index in range(len(names))]
    data = Table(tuple(map(column, names))) if named else Tensor("float64", (-1, len(names)), nulls=True)
    sample: list[Any] = [{name: None if name in categories else 0.0 for name in names}] if named else [[0.0] * len(names)]
    offered = ["predict"] if task == "regression" else ["predict_proba", "predict", "predict_margin"]
    inputs = (
        Field("data", data, example=sample),
        Field("method", Value({"type": "string", "enum": offered}), required=False, default=offered[0]),
    )
    answer = {"type": "object", "properties": {name: {"type": "array", "items": {}} for name in offered}, "additionalProperties": False}
    plain = {"method": "predict"}
    known = Signature(inputs, Field("output", Value(answer))).to_json()
    return {**known, "sample": {"data": sample}, "platform": "lightgbm", "defaults": {"v2": plain, "invocations": plain, "designer": plain}}


def said(text: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", text, re.MULTILINE)
    return found.group(1) if found else ""


def column(name: str) -> Column:
    """A category that training never saw is, to LightGBM, a missing value; so any value of the type is let through."""
    if name not in categories:
        return Column(name, "float64", nullable=True)
    return Column(name, "str" if all(isinstance(value, str) for value in categories[name]) else "object", nullable=True)


def rows(data: Any) -> Any:
    if not hasattr(data, "to_numpy"):
        return data
    if not categories:
        return data.to_numpy(dtype="float64", na_value=np.nan)
    import pandas

    return data.assign(**{name: pandas.Categorical(data[name], categories=values) for name, values in categories.items()})

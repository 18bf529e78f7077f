"""The proof itself: both scripts, original and compiled, answer the same rows; labels must be identical, scores within the tolerance."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from fairlead_scoring.batch.forests import Evaluation, NotHere, Unfit

from .graph import convert, note, steps_of
from .readers import Unconvertible, read
from .rows import generated

BATCHES = (1, 64)


def prove(job: dict[str, Any]) -> dict[str, Any]:
    """{"onnx": path, "proof": {...}} when it holds, {"refused": sentence, ...} otherwise."""
    original = _script(job["template"], job["model_dir"])
    said = original.describe()
    model = getattr(original, "model", None)
    model = original.booster if model is None else model
    try:
        width, columns, nulls = _input(said["inputs"][0]["type"])
        sample = _sample(job["sample"], width, columns)
        made, methods = convert(model, width)
        note(made, {"methods": methods, "nulls": nulls, "columns": columns, "output": _output(said["output"], methods)})
        target = Path(job["onnx_dir"]) / "model.onnx"
        target.write_bytes(made.SerializeToString())
        compiled = _loaded(job["onnx_template"], job["onnx_dir"])
    except Unconvertible as fault:
        return {"refused": f"{fault}."}
    rows, beside = generated(sample, _forests(model), nulls, job["rows"], job["seed"])
    proof = _compare(original, compiled, rows, list(methods), job["tolerance"], columns)
    proof.update(rows=len(rows), beside_thresholds=beside, seed=job["seed"], nulls=nulls, versions=_versions())
    refused = proof.pop("refused", None)
    if refused:
        return {"refused": refused, "proof": proof}
    if _forests(model):
        proof["trees"] = _trees_in_batch(compiled, str(target), rows, list(methods.values()))
    other = len(rows) - proof.get("trees", {}).get("equal_rows", len(rows))
    if other:
        return {"refused": f"in batch, {other} of {len(rows)} rows would be answered otherwise than in services.", "proof": proof}
    speed = _speed(original, compiled, rows, methods, columns)
    return {"onnx": str(target), "proof": {**proof, "speed": speed}}


def _script(template: str, model_dir: str) -> Any:
    os.environ["AZUREML_MODEL_DIR"] = model_dir
    module = ModuleType("score")
    exec(compile(Path(template).read_text(encoding="utf-8"), template, "exec"), module.__dict__)
    module.__dict__["init"]()
    return module


def _loaded(template: str, model_dir: str) -> Any:
    try:
        return _script(template, model_dir)
    except Exception as fault:  # ONNX Runtime raises its own kinds
        raise Unconvertible(f"ONNX Runtime does not load what the conversion made ({' '.join(str(fault).split())[:200]})") from fault


def _output(said: dict[str, Any], methods: dict[str, str]) -> dict[str, Any]:
    """The original's answer, for the methods that are left."""
    schema = dict(said["type"]["schema"])
    schema["properties"] = {name: each for name, each in schema["properties"].items() if name in methods}
    return schema


def _input(said: dict[str, Any]) -> tuple[int, list[str] | None, bool]:
    """(width, column names, nulls allowed); only plain numbers can be compiled."""
    if said["kind"] == "table":
        columns = said["columns"]
        if any(each["dtype"] != "float64" or "categories" in each for each in columns):
            raise Unconvertible("a model with columns of text or categories has no conversion here")
        return len(columns), [each["name"] for each in columns], all(each["nullable"] for each in columns)
    if said["dtype"] != "float64" or len(said["shape"] or []) != 2 or said["shape"][1] < 1:
        raise Unconvertible("only a model of rows of numbers, of known width, can be compiled")
    return said["shape"][1], None, said["nulls"]


def _sample(said: Any, width: int, columns: list[str] | None) -> Any:
    """The caller's rows as float64; zeros when there are none, so that the ranges are at least -1 to 1."""
    rows = said["data"] if isinstance(said, dict) and "data" in said else said
    if not rows:
        return np.zeros((1, width))
    if isinstance(rows[0], dict):
        rows = [[row[name] for name in columns or row] for row in rows]
    table = np.array(rows, dtype=float)
    if table.ndim != 2 or table.shape[1] != width:
        raise Unconvertible(f"the sample has rows of {table.shape[-1] if table.ndim else 0} numbers, the model takes {width}")
    return table


def _forests(model: Any) -> Any:
    *scalers, last = steps_of(model)
    try:
        ensemble = read(last)
    except Unconvertible:
        ensemble = None
    return [] if ensemble is None else [(ensemble.forest, scalers)]


def _asked(script: Any, rows: Any, method: str, columns: list[str] | None) -> Any:
    if columns and hasattr(script, "load"):
        import pandas

        rows = pandas.DataFrame(rows, columns=columns)
    return np.asarray(script.run(data=rows, method=method)[method])


def _answers(script: Any, rows: Any, method: str, columns: list[str] | None) -> Any:
    """Asked 256 rows at a time, the most that a service puts into one run()."""
    return np.concatenate([_asked(script, part, method, columns) for part in np.array_split(rows, max(len(rows) // 256, 1))])


def _compare(original: Any, compiled: Any, rows: Any, methods: list[str], tolerance: float, columns: list[str] | None) -> dict[str, Any]:
    worst: dict[str, Any] = {"difference": 0.0}
    for method in methods:
        wanted, got = (_answers(script, rows, method, columns) for script in (original, compiled))
        if wanted.shape != got.shape:
            return {"refused": f"{method} has the shape {list(wanted.shape)}, compiled {list(got.shape)}."}
        labels = wanted.dtype.kind in "iuUOSb"
        if labels or (method == "predict" and len(methods) > 1):
            wrong = np.flatnonzero(wanted != got)
            if len(wrong):
                return _refusal(method, rows, int(wrong[0]), wanted, got, f"{len(wrong)} of {len(rows)} labels differ")
            continue
        apart = np.abs(wanted - got) / np.maximum(1.0, np.abs(wanted))
        apart = np.nan_to_num(apart.reshape(len(rows), -1).max(axis=1), nan=np.inf)
        at = int(apart.argmax())
        if apart[at] > tolerance:
            return _refusal(method, rows, at, wanted, got, f"scores differ by {apart[at]:.3g}, the tolerance is {tolerance:.3g}")
        if apart[at] > worst["difference"]:
            worst = {"difference": float(apart[at]), "method": method, "row": [_plain(each) for each in rows[at]]}
    return {"methods": methods, "tolerance": tolerance, "worst": worst}


def _trees_in_batch(compiled: Any, path: str, rows: Any, outputs: list[str]) -> dict[str, Any]:
    """faster: whether batch has a faster way, where it has llvmlite. equal_rows: whose answers are then the same to the bit, where it is here."""
    try:
        evaluation = Evaluation(compiled.session, path)
    except NotHere:
        return {"faster": True}
    except Unfit as reason:
        return {"faster": False, "reason": str(reason)}
    feed = {compiled.session.get_inputs()[0].name: rows}
    equal = np.ones(len(rows), dtype=bool)
    for wanted, got in zip(compiled.session.run(outputs, feed), evaluation.run(outputs, feed)):
        alike = wanted == got if wanted.dtype.kind not in "fc" else (wanted == got) | (np.isnan(wanted) & np.isnan(got))
        equal &= alike.reshape(len(rows), -1).all(axis=1)
    return {"faster": True, "equal_rows": int(equal.sum())}


def _refusal(method: str, rows: Any, at: int, wanted: Any, got: Any, what: str) -> dict[str, Any]:
    row = [_plain(each) for each in rows[at]]
    sentence = f"{method}: {what}; the worst row {json.dumps(row)} gives {wanted[at].tolist()}, compiled {got[at].tolist()}."
    return {"refused": sentence, "worst": {"method": method, "row": row}}


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _speed(original: Any, compiled: Any, rows: Any, methods: dict[str, str], columns: list[str] | None) -> dict[str, Any]:
    """CPU microseconds of run() for one row and for 64, original and compiled: the median of 15."""
    out: dict[str, Any] = {}
    for name, script in (("original", original), ("compiled", compiled)):
        out[name] = {str(size): _microseconds(script, rows[:size], next(iter(methods)), columns) for size in BATCHES}
    return out


def _microseconds(script: Any, rows: Any, method: str, columns: list[str] | None) -> float:
    taken = []
    for _ in range(15):
        start = time.process_time()
        _asked(script, rows, method, columns)
        taken.append(time.process_time() - start)
    return round(sorted(taken)[7] * 1e6, 1)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("scikit-learn", "xgboost", "xgboost-cpu", "lightgbm", "skl2onnx", "onnx", "onnxruntime", "llvmlite", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found

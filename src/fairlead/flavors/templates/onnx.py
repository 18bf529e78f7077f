"""Scores an ONNX model with ONNX Runtime. Written by Fairlead; yours to change.

One input: {"data": [...]}; several: one key per input of the graph. Answers one key per output: {"probabilities": [...], ...}.
A model that Fairlead compiled answers like its original: {"data": ..., "method": "predict"} gives {"predict": [...]}.
"""

from __future__ import annotations

import json
import os
from typing import Any

import fairlead_scoring
import numpy as np
import onnxruntime
from fairlead_scoring.artifact import model_file, threads
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value

DTYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(string)": "object", "tensor(bool)": "bool",
    "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
    "tensor(uint8)": "uint8", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
}  # fmt: skip

session: Any = None
evaluate: Any = None  # session.run, or what gives the same faster
names: list[tuple[str, str, str]] = []  # (key in the body, input of the graph, dtype)
outputs: list[str] = []
compiled: dict[str, Any] = {}  # what `fairlead bundle --compile` noted in the model


def init() -> None:
    global session, evaluate, names, outputs, compiled
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not burn the CPU of other workers
    path = str(model_file(".onnx"))
    session = onnxruntime.InferenceSession(path, options, providers=providers())
    compiled = json.loads(session.get_modelmeta().custom_metadata_map.get("fairlead", "{}"))
    inputs = session.get_inputs()
    for each in inputs:
        if each.type not in DTYPES:
            raise TypeError(f"Input {each.name!r} of the model is a {each.type}, which JSON cannot carry. Write a score.py for it.")
    names = [("data" if len(inputs) == 1 else each.name, each.name, DTYPES[each.type]) for each in inputs]
    outputs = [each.name for each in session.get_outputs()]
    evaluate = session.run
    if compiled and os.environ.get("FAIRLEAD_BATCH"):  # trees have a faster way, which pays for itself where rows come by the thousand
        from fairlead_scoring.batch.forests import evaluator

        evaluate = evaluator(session, path)


@fairlead_scoring.typed
@fairlead_scoring.batched(max_rows=256)
def run(**data: Any) -> dict[str, Any]:
    method = data.pop("method", None)
    feed = {name: array(data[key], dtype) for key, name, dtype in names}
    if method is not None:
        return {method: evaluate([compiled["methods"][method]], feed)[0]}
    return dict(zip(outputs, map(plain, evaluate(outputs, feed))))


def describe() -> dict[str, Any]:
    inputs = [Field(key, input_type(each)) for (key, _, _), each in zip(names, session.get_inputs())]
    said: dict[str, Any] = {"platform": "onnxruntime_onnx", "defaults": {}}
    if compiled:
        offered = list(compiled["methods"])
        inputs.append(Field("method", Value({"type": "string", "enum": offered}), required=False, default=offered[0]))
        simple = {"method": "predict"}
        said["defaults"] = {"v2": simple, "invocations": simple, "designer": simple}
    keys = list(compiled.get("methods", outputs))
    unknown = {"type": "object", "properties": {key: {"type": "array", "items": {}} for key in keys}, "additionalProperties": False}
    answer = compiled.get("output", unknown)
    signature = Signature(tuple(inputs), Field("output", Value(answer)))
    stackable = len(names) == 1 and (shape(session.get_inputs()[0].shape) or (-1,))[0] == -1
    return {**signature.to_json(), **said, "batching": stackable, "sample": {each.name: sample(each.type) for each in inputs if each.required}}


def providers() -> list[str]:
    """The GPU where ONNX Runtime has one, else the CPU."""
    available = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]


def array(data: Any, dtype: str) -> Any:
    data = data.to_numpy() if hasattr(data, "to_numpy") else np.asarray(data)
    return data if data.dtype == dtype else data.astype(dtype)


def plain(output: Any) -> Any:
    """A ZipMap gives one {class: probability} per row; JSON has text for keys."""
    if isinstance(output, list) and output and isinstance(output[0], dict):
        return [{str(key): value for key, value in row.items()} for row in output]
    return output


def input_type(each: Any) -> Any:
    if compiled.get("columns"):
        return Table(tuple(Column(name, "float64", nullable=compiled["nulls"]) for name in compiled["columns"]))
    dtype = "str" if each.type == "tensor(string)" else DTYPES[each.type]
    nulls = bool(compiled.get("nulls", False))  # a graph does not say whether it takes NaN; a declared schema may
    return Tensor(dtype, shape(each.shape), nulls=nulls)


def shape(said: list[Any] | None) -> tuple[int, ...] | None:
    """Named and unknown sizes are free."""
    return tuple(size if isinstance(size, int) and size > 0 else -1 for size in said) if said else None


def sample(declared: Any) -> Any:
    if isinstance(declared, Table):
        return [dict.fromkeys(declared.names, 0.0)]
    value: Any = {"str": "", "bool": False}.get(declared.dtype, 0)
    for size in reversed(declared.shape or (1,)):
        value = [value] * max(size, 1)
    return value

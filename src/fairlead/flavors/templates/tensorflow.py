"""Scores a TensorFlow SavedModel folder, or a Keras model (.keras, .h5). Written by Fairlead; yours to change.

One input: {"data": [...]}; several: one key per input. Answers one key per output of the signature.
"""

from __future__ import annotations

import os
from typing import Any

import fairlead_scoring
from fairlead_scoring.artifact import model_file, model_folder, threads
from fairlead_scoring.schema import Field, Signature, Tensor, Value

# TensorFlow reads these when it is imported: no greetings, and no more threads than this worker has cores.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads()))
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import tensorflow

call: Any = None
kept: Any = None  # a SavedModel's signature does not keep its variables alive
inputs: list[tuple[str, str, tuple[int, ...] | None]] = []  # (name, dtype, shape)
platform = "tensorflow_savedmodel"


def init() -> None:
    global call, kept, inputs, platform
    try:
        folder = model_folder("saved_model.pb")
    except FileNotFoundError:
        kept, platform = tensorflow.keras.models.load_model(str(model_file(".keras", ".h5", ".hdf5")), compile=False, safe_mode=True), "keras"
        inputs = [(each.name, str(each.dtype), size(each.shape)) for each in kept.inputs]
        call = keras_call
        return
    kept = tensorflow.saved_model.load(str(folder))
    signatures = kept.signatures
    if not signatures:
        raise TypeError("The SavedModel has no signature. Save it with signatures={'serving_default': ...}, or with model.export().")
    call = signatures["serving_default" if "serving_default" in signatures else min(signatures)]
    specs = call.structured_input_signature[1]
    inputs = [(name, "str" if spec.dtype == tensorflow.string else spec.dtype.name, size(spec.shape)) for name, spec in sorted(specs.items())]


@fairlead_scoring.typed
@fairlead_scoring.batched(max_rows=64)
def run(**data: Any) -> dict[str, Any]:
    one = len(inputs) == 1
    feed = {name: tensorflow.constant(data["data" if one else name], dtype="string" if dtype == "str" else dtype) for name, dtype, _ in inputs}
    return {name: plain(value.numpy()) for name, value in call(**feed).items()}


def describe() -> dict[str, Any]:
    one = len(inputs) == 1
    fields = tuple(Field("data" if one else name, Tensor(dtype, shape)) for name, dtype, shape in inputs)
    said = Signature(fields, Field("output", Value({"type": "object"}))).to_json()
    known = all(shape is not None for _, _, shape in inputs)
    sample = {each.name: zeros(each.type) for each in fields} if known else None
    stackable = one and (inputs[0][2] or (-1,))[0] == -1
    return {**said, "batching": stackable, "sample": sample, "platform": platform, "defaults": {}}


def keras_call(**feed: Any) -> dict[str, Any]:
    result = kept(feed if len(feed) > 1 else next(iter(feed.values())), training=False)
    if isinstance(result, dict):
        return result
    many = isinstance(result, (list, tuple))
    return {f"output_{index}": each for index, each in enumerate(result)} if many else {"output": result}


def size(shape: Any) -> tuple[int, ...] | None:
    known = getattr(shape, "rank", 0) is not None
    return tuple(-1 if each is None else int(each) for each in shape) if known else None


def plain(value: Any) -> Any:
    """Strings come out of TensorFlow as bytes."""
    return [each.decode("utf-8", "replace") for each in value.tolist()] if value.dtype == object and value.ndim == 1 else value


def zeros(declared: Any) -> Any:
    value: Any = "" if declared.dtype == "str" else 0.0 if declared.dtype.startswith("float") else 0
    for length in reversed(declared.shape or ()):
        value = [value] * max(length, 1)
    return value

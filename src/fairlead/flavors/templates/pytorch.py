"""Scores a PyTorch program: TorchScript (.pt, .ts) or torch.export (.pt2). Written by Fairlead; yours to change.

One input: {"data": [...]}; several: one key per argument of forward(). Answers {"output": [...]}, or one key per output.
TorchScript does not keep the shape of its inputs, so any goes; a declared schema is stricter.
"""

from __future__ import annotations

import zipfile
from typing import Any

import fairlead_scoring
import torch
from fairlead_scoring.artifact import model_file, threads
from fairlead_scoring.schema import Field, Signature, Tensor, Value

module: Any = None
device = "cpu"
names: list[str] = []  # arguments of forward()
types: list[tuple[str, tuple[int, ...] | None]] = []  # (dtype, shape) of each
platform = "pytorch_libtorch"


def init() -> None:
    global module, device, names, types, platform
    torch.set_num_threads(threads())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    path = str(model_file(".pt2", ".pt", ".ts", ".pth", ".torchscript"))
    with zipfile.ZipFile(path) as archive:
        exported = any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in archive.namelist())
    if exported:
        program = torch.export.load(path)
        module, platform = program.module().to(device), "pytorch_export"
        names, types = exported_inputs(program)
        return
    module = torch.jit.load(path, map_location=device).eval()
    names = [each.name for each in module.forward.schema.arguments[1:]] if hasattr(module.forward, "schema") else ["data"]
    floats = [str(each.dtype).split(".")[-1] for each in module.parameters() if each.is_floating_point()]
    types = [((floats or ["float32"])[0], None)] * len(names)


@fairlead_scoring.typed
@fairlead_scoring.batched(max_rows=64)
def run(**data: Any) -> dict[str, Any]:
    given = [data["data"]] if len(names) == 1 else [data[name] for name in names]
    with torch.inference_mode():
        return named(module(*(torch.as_tensor(each, device=device) for each in given)))


def describe() -> dict[str, Any]:
    keys = ["data"] if len(names) == 1 else names
    inputs = tuple(Field(key, Tensor(dtype, shape)) for key, (dtype, shape) in zip(keys, types))
    said = Signature(inputs, Field("output", Value({"type": "object"}))).to_json()
    known = all(shape is not None for _, shape in types)
    sample = {each.name: zeros(each.type) for each in inputs} if known else None
    stackable = len(types) == 1 and (types[0][1] or (-1,))[0] == -1
    return {**said, "batching": stackable, "sample": sample, "platform": platform, "defaults": {}}


def exported_inputs(program: Any) -> tuple[list[str], list[tuple[str, tuple[int, ...] | None]]]:
    """An exported program knows its inputs; a size is free where the export said so, and fixed otherwise, the batch too."""
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    chosen = [nodes[name] for name in program.graph_signature.user_inputs if name in nodes]
    metas = [node.meta["val"] for node in chosen]
    shapes = [tuple(size if isinstance(size, int) else -1 for size in meta.shape) for meta in metas]
    return [node.name for node in chosen], [(str(meta.dtype).split(".")[-1], shape) for meta, shape in zip(metas, shapes)]


def named(result: Any) -> dict[str, Any]:
    if isinstance(result, dict):
        return {str(key): value.cpu().numpy() for key, value in result.items()}
    if isinstance(result, (tuple, list)):
        return {f"output_{index}": value.cpu().numpy() for index, value in enumerate(result)}
    return {"output": result.cpu().numpy()}


def zeros(declared: Any) -> Any:
    value: Any = 0.0 if declared.dtype.startswith("float") else 0
    for size in reversed(declared.shape or ()):
        value = [value] * max(size, 1)
    return value

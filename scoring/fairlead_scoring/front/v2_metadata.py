"""Model metadata of the Open Inference Protocol v2, from the service's contract."""

from __future__ import annotations

from typing import Any

from fairlead_scoring.schema import Field, Table, Tensor

DATATYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8", "int16": "INT16",
    "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip


def model_metadata(contract: dict[str, Any]) -> dict[str, Any]:
    model = contract["model"]
    inputs = [part for field in contract["inputs"] for part in _tensors(Field.from_json(field))]
    output = contract.get("output")
    return {
        "name": str(model.get("name", "model")),
        "versions": [str(model.get("version", "1"))],
        "platform": str(model.get("platform", "python")),
        "inputs": inputs,
        "outputs": _tensors(Field.from_json(output)) if output else [],
    }


def _tensors(field: Field) -> list[dict[str, Any]]:
    if isinstance(field.type, Tensor):
        return [{"name": field.name, "datatype": DATATYPES.get(field.type.dtype, "BYTES"), "shape": list(field.type.shape)}]
    if isinstance(field.type, Table):
        return [{"name": column.name, "datatype": DATATYPES.get(column.dtype, "BYTES"), "shape": [-1]} for column in field.type.columns]
    return [{"name": field.name, "datatype": "BYTES", "shape": [1]}] if field.required else []

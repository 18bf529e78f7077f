"""Declared inputs and outputs as the named tensors of the Open Inference Protocol v2: what metadata shows, infer takes and answers."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from fairlead_scoring.schema.declared import Signature, Table, Tensor, Value

DATATYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8", "int16": "INT16",
    "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip
DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}
BYTES = "BYTES"

_OF_JSON = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "string": BYTES}
_OF_PYTHON = {bool: "boolean", int: "integer", float: "number", str: "string"}


class TensorSpec(NamedTuple):
    """-1 in the shape is any size; shape None is any shape."""

    name: str
    datatype: str
    shape: Optional[Tuple[int, ...]]

    def to_json(self) -> Dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": [-1] if self.shape is None else list(self.shape)}


def input_tensors(signature: Signature) -> List[TensorSpec]:
    """What a request must bring. Values that are not required, or no scalars, travel as request parameters instead."""
    found: List[TensorSpec] = []
    for field in signature.inputs:
        if isinstance(field.type, Tensor):
            found += [TensorSpec(field.name, DATATYPES.get(field.type.dtype, BYTES), field.type.shape)] if field.required else []
        elif isinstance(field.type, Table):
            found += _columns(field.type) if field.required else []
        elif field.required and scalar_datatype(field.type):
            found.append(TensorSpec(field.name, scalar_datatype(field.type), (1,)))
    return found


def output_tensors(signature: Signature, defaults: Mapping[str, Any]) -> List[TensorSpec]:
    """The outputs whose datatype is declared; a result is cast to it. Of several methods the one that `defaults` chooses."""
    output = signature.output
    if output is None:
        return []
    if isinstance(output.type, Tensor):
        return [TensorSpec(output.name, DATATYPES.get(output.type.dtype, BYTES), output.type.shape)]
    if isinstance(output.type, Table):
        return _columns(output.type)
    chosen = chosen_method(signature, defaults)
    return [each for name, each in declared_outputs(output.type).items() if chosen in (None, name)]


def declared_outputs(declared: Value) -> Dict[str, TensorSpec]:
    """The properties of an object of arrays, those of a known datatype only."""
    found: Dict[str, TensorSpec] = {}
    for name, part in declared.schema.get("properties", {}).items():
        cell = part
        shape: List[int] = []
        while cell.get("type") == "array":
            least = cell.get("minItems")
            shape.append(-1 if least is None or least != cell.get("maxItems") else least)
            cell = cell.get("items", {})
        datatype = _datatype(cell)
        if datatype:
            found[name] = TensorSpec(name, datatype, tuple(shape) or (1,))
    return found


def chosen_method(signature: Signature, defaults: Mapping[str, Any]) -> Optional[str]:
    """The value that an input called `method` takes when nobody says it; None when there is no such input."""
    for field in signature.inputs:
        if field.name == "method" and isinstance(field.type, Value):
            said = defaults.get("method", field.default)
            return said if isinstance(said, str) else None
    return None


def scalar_datatype(declared: Value) -> str:
    """The datatype of one JSON scalar, "" for anything else."""
    return _datatype(declared.schema)


def _columns(table: Table) -> List[TensorSpec]:
    return [TensorSpec(column.name, DATATYPES.get(column.dtype, BYTES), (-1,)) for column in table.columns]


def _datatype(schema: Any) -> str:
    kinds = schema.get("type")
    if kinds is None and "enum" in schema:
        found = {_OF_PYTHON.get(type(choice), "") for choice in schema["enum"]}
        kinds = found.pop() if len(found) == 1 else "number" if found == {"integer", "number"} else None
    return _OF_JSON.get(kinds, "") if isinstance(kinds, str) else ""

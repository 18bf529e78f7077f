"""Declarations read out of other things: a sample body, or the service schema file of Azure ML's first generation."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Tuple

from fairlead_scoring.schema.declared import Column, Field, Signature, Table, Tensor, Type, Value
from fairlead_scoring.schema.documents import DeclarationError, Schema
from fairlead_scoring.schema.keywords import FORMATS
from fairlead_scoring.schema.scalars import INTEGERS


def infer(body: Any) -> Signature:
    """The inputs a sample body shows: its keys, or `data` for a bare list.

    Numbers are declared as float64 even where the sample holds whole ones: a sample cannot say that 1.5 is wrong.
    """
    if isinstance(body, list):
        body = {"data": body}
    if not isinstance(body, dict) or not body:
        raise DeclarationError("The sample must be a JSON object keyed by the inputs' names, or a list of rows.")
    return Signature(tuple(Field(name, _type_of(value), example=value) for name, value in body.items()))


def from_service_schema(said: Any) -> Signature:
    """Reads {"input": {ARG: {"swagger": ...}}, "output": {...}}. Its `internal` parts are pickles and are not touched."""
    if not isinstance(said, dict) or not isinstance(said.get("input"), dict):
        raise DeclarationError('A service schema needs "input": an object of arguments.')
    inputs = [_field_of(name, part) for name, part in said["input"].items()]
    outputs = [_field_of(name, part) for name, part in (said.get("output") or {}).items()]
    return Signature(tuple(inputs), outputs[0] if len(outputs) == 1 else None)


def read(said: Any) -> Signature:
    """A schema file of either kind: Fairlead's own has "inputs", a first-generation service schema has "input"."""
    return from_service_schema(said) if isinstance(said, dict) and "input" in said and "inputs" not in said else Signature.from_json(said)


def _type_of(value: Any) -> Type:
    if isinstance(value, list) and value and all(isinstance(row, dict) and row for row in value):
        return _table_of(value)
    if isinstance(value, dict) and _is_split(value):
        return _table_of([dict(zip(value["columns"], row)) for row in value["data"]], "split")
    if isinstance(value, list):
        shape, cells = _flattened(value)
        dtype = _common(cells)
        if shape is not None and dtype is not None and cells:
            return Tensor(dtype, (-1, *shape[1:]), nulls=None in cells)
    return Value(_schema_of(value))


def _is_split(value: Dict[str, Any]) -> bool:
    header, rows = value.get("columns"), value.get("data")
    if not isinstance(header, list) or not isinstance(rows, list) or not header or not rows or set(value) - {"columns", "data", "index"}:
        return False
    return all(isinstance(row, list) and len(row) == len(header) for row in rows)


def _flattened(value: List[Any]) -> Tuple[Optional[Tuple[int, ...]], List[Any]]:
    """Shape and cells of a rectangular array; shape None when it is ragged."""
    shape: List[int] = []
    level: List[Any] = [value]
    while level and all(isinstance(item, list) for item in level):
        if len({len(item) for item in level}) != 1:
            return None, []
        shape.append(len(level[0]))
        level = [cell for item in level for cell in item]
    return (None if any(isinstance(cell, (list, dict)) for cell in level) else tuple(shape)), level


def _common(cells: Iterable[Any]) -> Optional[str]:
    """The one dtype of these cells, nulls aside: "float64", "bool", "str"; None when they are mixed or all null."""
    names = {bool: "bool", int: "float64", float: "float64", str: "str"}
    found = {names.get(type(cell)) for cell in cells if cell is not None}
    return found.pop() if len(found) == 1 else None


def _table_of(rows: List[Dict[str, Any]], orient: str = "records") -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        cells = [row.get(name) for row in rows]
        columns.append(Column(name, _common(cells) or "object", nullable=None in cells))
    return Table(tuple(columns), orient)


def _schema_of(value: Any) -> Schema:
    if value is None:
        return {}
    if isinstance(value, dict):
        return {"type": "object", "properties": {name: _schema_of(part) for name, part in value.items()}}
    if isinstance(value, list):
        return {"type": "array"}
    return {"type": {bool: "boolean", int: "number", float: "number"}.get(type(value), "string")}


def _field_of(name: str, part: Any) -> Field:
    swagger = part.get("swagger") if isinstance(part, dict) else None
    if not isinstance(swagger, dict):
        raise DeclarationError(f'Argument {name!r} of the service schema has no "swagger" part.')
    example = swagger.get("example")
    return Field(name, _type_of_swagger({key: said for key, said in swagger.items() if key != "example"}, example, part.get("type")), example=example)


def _type_of_swagger(swagger: Schema, example: Any, kind: Any) -> Type:
    """kind: 0 standard Python, 1 numpy, 2 Spark, 3 pandas, as the file says."""
    if swagger.get("type") == "array" and kind in (1, 2, 3):
        items = swagger.get("items") or {}
        if kind != 1 and items.get("type") == "object" and items.get("properties"):
            return Table(tuple(Column(name, _dtype_of(cell), nullable=True) for name, cell in items["properties"].items()))
        if kind == 1:
            return _tensor_of(swagger, example)
    return Value(_without_formats(swagger))


def _tensor_of(swagger: Schema, example: Any) -> Tensor:
    dimensions, cell = 0, swagger
    while cell.get("type") == "array":
        dimensions, cell = dimensions + 1, cell.get("items") or {}
    shape, _ = _flattened(example) if isinstance(example, list) else (None, [])
    rest = shape[1:] if shape is not None and len(shape) == dimensions else (-1,) * (dimensions - 1)
    return Tensor(_dtype_of(cell), (-1, *rest))


def _dtype_of(cell: Schema) -> str:
    kind, form = cell.get("type"), cell.get("format")
    if kind == "integer":
        return form if form in INTEGERS else "int64"
    if kind == "number":
        return "float32" if form == "float" else "float64"
    if kind == "string":
        return "datetime64" if form == "date-time" else "str"
    return "bool" if kind == "boolean" else "object"


def _without_formats(swagger: Schema) -> Schema:
    """A fragment as a Value may declare it: formats that only name a Python type ("decimal", "time") go, types stay."""
    out = {key: said for key, said in swagger.items() if key not in ("format", "items", "properties", "example")}
    if swagger.get("format") in FORMATS:
        out["format"] = swagger["format"]
    if "items" in swagger:
        out["items"] = _without_formats(swagger["items"])
    if "properties" in swagger:
        out["properties"] = {name: _without_formats(part) for name, part in swagger["properties"].items()}
    return out

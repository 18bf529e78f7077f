"""What one declaration takes and another does not: sentences about why a value that fits the first may not fit the second.

No sentence: whatever fits the first fits the second. Where that cannot be told (two different patterns), it counts as narrower.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fairlead_scoring.schema import Column, Table, Tensor, Value
from fairlead_scoring.schema.keywords import ANNOTATIONS
from fairlead_scoring.schema.scalars import FLOATS, INTEGERS, Scalar

Type = Tensor | Table | Value
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_OPAQUE = ("pattern", "format", "anyOf", "const")


def narrowed(where: str, first: Type, second: Type) -> Iterator[str]:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        yield from _tensor(where, first, second)
    elif isinstance(first, Table) and isinstance(second, Table):
        yield from _table(where, first, second)
    elif isinstance(first, Value) and isinstance(second, Value):
        yield from schema_narrowed(where, first.schema, second.schema)
    elif not (isinstance(second, Value) and not _told(second.schema)):
        yield f"{where}: was a {_kind(first)}, is a {_kind(second)}."


def cell_narrowed(where: str, first: Scalar, second: Scalar) -> Iterator[str]:
    if not _dtype_fits(first, second):
        yield f"{where}: was {first.dtype}, is {second.dtype}."
        return
    if first.nullable and not second.nullable:
        yield f"{where}: null is not taken any more."
    if second.minimum is not None and (first.low is None or first.low < second.minimum):
        yield f"{where}: must be at least {second.minimum:g} now{_was(first.minimum)}."
    if second.maximum is not None and (first.high is None or first.high > second.maximum):
        yield f"{where}: must be at most {second.maximum:g} now{_was(first.maximum)}."
    if second.categories is not None:
        gone = [value for value in first.categories or () if value not in second.categories]
        if first.categories is None:
            yield f"{where}: takes only {_listed(second.categories)} now."
        elif gone:
            yield f"{where}: {_listed(gone)} is not taken any more."


def schema_narrowed(where: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    """Of two JSON Schemas in the subset that a Value may declare."""
    first, second = _told(first), _told(second)
    if first == second or not second:
        return
    kinds, now = _types(first), _types(second)
    if now and not (kinds and all(kind in now or (kind == "integer" and "number" in now) for kind in kinds)):
        yield f"{where}: was {' or '.join(sorted(kinds)) or 'anything'}, is {' or '.join(sorted(now))}."
        return
    yield from _limits(where, first, second)
    if "enum" in second and not ("enum" in first and all(value in second["enum"] for value in first["enum"])):
        yield f"{where}: takes only {_listed(second['enum'])} now."
    for keyword in _OPAQUE:
        if keyword in second and first.get(keyword) != second[keyword]:
            yield f"{where}: has another {keyword}."
    if "items" in second:
        yield from schema_narrowed(f"{where}[]", first.get("items", {}), second["items"])
    yield from _properties(where, first, second)


def _tensor(where: str, first: Tensor, second: Tensor) -> Iterator[str]:
    if second.shape is not None and first.shape != second.shape and not _shape_fits(first, second):
        yield f"{where}: had the shape {_shape(first)}, has {_shape(second)}."
    yield from cell_narrowed(where, first.cell, second.cell)


def _shape_fits(first: Tensor, second: Tensor) -> bool:
    if first.shape is None or second.shape is None or len(first.shape) != len(second.shape):
        return False
    return all(new in (-1, old) and old != 0 for old, new in zip(first.shape, second.shape, strict=True))


def _table(where: str, first: Table, second: Table) -> Iterator[str]:
    old, new = _columns(first), _columns(second)
    for name in old.keys() - new.keys():
        yield f"{where}: the column {name!r} is gone."
    for name in new.keys() - old.keys():
        yield f"{where}: the column {name!r} is new, and every row must have it."
    shared = [name for name in first.names if name in new]
    if shared != [name for name in second.names if name in old]:
        yield f"{where}: the columns stand in another order, which rows sent as lists follow."
    for name in shared:
        yield from cell_narrowed(f"{where}, column {name!r}", old[name].cell, new[name].cell)


def _dtype_fits(first: Scalar, second: Scalar) -> bool:
    if second.dtype in (first.dtype, "object") or (first.dtype, second.dtype) == ("datetime64", "str"):
        return True
    if second.dtype in FLOATS:
        return first.dtype in INTEGERS or FLOATS.get(first.dtype, float("inf")) <= FLOATS[second.dtype]
    if first.dtype not in INTEGERS or second.dtype not in INTEGERS or first.low is None or first.high is None:
        return False
    low, high = INTEGERS[second.dtype]
    return low <= first.low and first.high <= high


def _limits(where: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    for keyword in _LOWER:
        if keyword in second and not first.get(keyword, float("-inf")) >= second[keyword]:
            yield f"{where}: {keyword} is {second[keyword]:g} now{_was(first.get(keyword))}."
    for keyword in _UPPER:
        if keyword in second and not first.get(keyword, float("inf")) <= second[keyword]:
            yield f"{where}: {keyword} is {second[keyword]:g} now{_was(first.get(keyword))}."
    if _nullable(first) and not _nullable(second):
        yield f"{where}: null is not taken any more."


def _properties(where: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    old, new = first.get("properties", {}), second.get("properties", {})
    for name in second.get("required", []):
        if name not in first.get("required", []):
            yield f"{where}: {name!r} is required now."
    rest = second.get("additionalProperties", True)
    for name, schema in old.items():
        if name in new:
            yield from schema_narrowed(f"{where}.{name}", schema, new[name])
        elif rest is False:
            yield f"{where}: {name!r} is gone."
        elif rest is not True:
            yield from schema_narrowed(f"{where}.{name}", schema, rest)
    if rest is False and first.get("additionalProperties", True) is not False and (first.get("type") or old):
        yield f"{where}: takes no other members any more."


def _told(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only explains."""
    return {name: value for name, value in schema.items() if name not in ANNOTATIONS and not name.startswith("x-")}


def _types(schema: Mapping[str, Any]) -> set[str]:
    said = schema.get("type", [])
    return set(said if isinstance(said, list) else [said])


def _nullable(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("nullable")) or not _types(schema) or "null" in _types(schema)


def _columns(table: Table) -> dict[str, Column]:
    return {column.name: column for column in table.columns}


def _kind(declared: Type) -> str:
    return str(declared.to_json()["kind"])


def _shape(tensor: Tensor) -> str:
    return "of any array" if tensor.shape is None else str(list(tensor.shape))


def _was(limit: float | None) -> str:
    return f", was {limit:g}" if limit is not None else ""


def _listed(values: Any) -> str:
    words = [json.dumps(value, ensure_ascii=False) for value in list(values)[:5]]
    return ", ".join(words) + (" and more" if len(values) > 5 else "")

"""Plain type hints as a declaration: the annotations of `run()` become its signature, and values become what was annotated.

int, float, str, bool, list[…], dict[str, …], Optional, Union, Literal, Enum, date, datetime, dataclasses, TypedDict, pydantic models,
numpy.ndarray and pandas.DataFrame. `Annotated[numpy.ndarray, Tensor("float32", (-1, 4))]` says more about an array.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import inspect
import sys
import typing
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from fairlead_scoring.schema import DeclarationError, Field, Signature, Table, Tensor, Value
from fairlead_scoring.schema.keywords import KEYWORDS
from fairlead_scoring.worker.exchange import BadInput
from fairlead_scoring.worker.parameters import Parameters

SIMPLE = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
Convert = Callable[[Any], Any]


class Typed(NamedTuple):
    """`converters`: parameter → what makes the annotated value of checked JSON; parameters without one stay as they are."""

    signature: Signature
    converters: Dict[str, Convert]


def typed_of(run: Callable[..., Any], parameters: Parameters) -> Typed:
    """Raises DeclarationError when an annotation cannot be checked."""
    hints = _hints(run)
    fields, converters = [], {}
    for parameter in parameters.data:
        declared, convert = _declare(hints.get(parameter.name, Any), f"'{parameter.name}'")
        required = parameter.default is inspect.Parameter.empty
        fields.append(Field(parameter.name, declared, required=required, default=None if required else parameter.default))
        if convert is not None:
            converters[parameter.name] = convert
    return Typed(Signature(tuple(fields)), converters)


def _hints(run: Callable[..., Any]) -> Dict[str, Any]:
    try:
        extras: Dict[str, Any] = {"include_extras": True} if "include_extras" in inspect.signature(typing.get_type_hints).parameters else {}
        return typing.get_type_hints(run, **extras)
    except (NameError, TypeError) as error:
        raise DeclarationError(f"the annotations of run() cannot be read: {error}") from error


def _declare(hint: Any, where: str) -> Tuple[Any, Optional[Convert]]:
    library, name = str(getattr(hint, "__module__", "")).split(".")[0], getattr(hint, "__name__", "")
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, (Tensor, Table, Value)):
            return extra, None
    if library == "numpy" and name == "ndarray":
        return Tensor("float64", None), None
    if library == "pandas" and name == "DataFrame":
        return Value({"type": "array", "items": {"type": "object"}}), sys.modules["pandas"].DataFrame
    schema, convert = _schema(hint, where)
    return Value(schema), convert


def _schema(hint: Any, where: str) -> Tuple[Dict[str, Any], Optional[Convert]]:  # noqa: PLR0911  (one per kind of annotation)
    if hint is Any or hint is inspect.Parameter.empty:
        return {}, None
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}, None
    if hint in (dt.datetime, dt.date):
        form = "date-time" if hint is dt.datetime else "date"
        return {"type": "string", "format": form}, lambda text: hint.fromisoformat(text.replace("Z", "+00:00"))
    origin, inside = _origin(hint), getattr(hint, "__args__", ())
    if origin is not None:
        return _generic(origin, inside, where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}, hint
    if hasattr(hint, "model_validate"):
        return _pydantic(hint)
    if dataclasses.is_dataclass(hint) or hasattr(hint, "__total__"):
        return _record(hint, where)
    if hint in (list, dict):
        return {"type": "array" if hint is list else "object"}, None
    raise DeclarationError(f"{where} is annotated with {hint}, which a JSON body cannot be checked against")


def _origin(hint: Any) -> Any:
    return getattr(hint, "__origin__", None) or ("union" if type(hint).__name__ == "UnionType" else None)


def _generic(origin: Any, inside: Tuple[Any, ...], where: str) -> Tuple[Dict[str, Any], Optional[Convert]]:
    if origin in (list, List, tuple) and len([one for one in inside if one is not Ellipsis]) == 1:
        items, convert = _schema(inside[0], where)
        return {"type": "array", "items": items}, _each(convert)
    if origin in (dict, Dict):
        values, convert = _schema(inside[1], where)
        if convert is not None:
            raise DeclarationError(f"{where} is a dict of values that would have to be converted; use a dataclass")
        return {"type": "object", "additionalProperties": values}, None
    if origin is typing.Union or origin == "union":
        return _union(inside, where)
    if str(origin).endswith("Literal"):
        return {"enum": list(inside)}, None
    raise DeclarationError(f"{where} is annotated with {origin}[…], which a JSON body cannot be checked against")


def _union(inside: Tuple[Any, ...], where: str) -> Tuple[Dict[str, Any], Optional[Convert]]:
    parts = [_schema(one, where) for one in inside]
    converts = [convert for _, convert in parts if convert is not None]
    if len(converts) > 1 or (converts and len([one for one in inside if one is not type(None)]) > 1):
        raise DeclarationError(f"{where} is a Union of values that would have to be converted; use one type")
    convert = converts[0] if converts else None
    return {"anyOf": [schema for schema, _ in parts]}, None if convert is None else _unless_none(convert)


def _each(convert: Optional[Convert]) -> Optional[Convert]:
    return None if convert is None else lambda values: [convert(value) for value in values]


def _unless_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _record(hint: Any, where: str) -> Tuple[Dict[str, Any], Optional[Convert]]:
    """A dataclass or a TypedDict."""
    hints = _hints(hint)
    parts = {name: _schema(inner, f"{where}, field '{name}'") for name, inner in hints.items()}
    if dataclasses.is_dataclass(hint):
        missing = dataclasses.MISSING
        required = [field.name for field in dataclasses.fields(hint) if field.default is missing and field.default_factory is missing]
    else:
        required = sorted(getattr(hint, "__required_keys__", hints))
    schema: Dict[str, Any] = {"type": "object", "properties": {name: schema for name, (schema, _) in parts.items()}, "required": required}
    schema["additionalProperties"] = False
    converts = {name: convert for name, (_, convert) in parts.items() if convert is not None}

    def convert_record(value: Any) -> Any:
        filled = {name: converts[name](inner) if name in converts else inner for name, inner in value.items()}
        return hint(**filled)

    return schema, convert_record


def _pydantic(model: Any) -> Tuple[Dict[str, Any], Optional[Convert]]:
    """The model itself checks; the schema is for the documents, as far as they can show it."""

    def convert(value: Any) -> Any:
        try:
            return model.model_validate(value)
        except ValueError as error:
            raise _refused(error) from error

    whole = model.model_json_schema()
    return _shown(whole, whole.get("$defs", {}), 0), convert


def _refused(error: Any) -> BadInput:
    found = [
        {
            "field": str(one["loc"][0]) if one["loc"] else "",
            "row": next((part for part in one["loc"] if isinstance(part, int)), None),
            "column": ".".join(str(part) for part in one["loc"]),
            "expected": one["msg"],
            "got": repr(one.get("input"))[:80],
        }
        for one in error.errors()[:10]
    ]
    first = found[0]
    return BadInput("{}: {}, got {}.".format(first["column"], first["expected"], first["got"]), detail={"errors": found})


def _shown(schema: Any, definitions: Dict[str, Any], depth: int) -> Dict[str, Any]:
    """Our subset of JSON Schema: references followed, what is only for people left out."""
    reference = schema.get("$ref")
    if reference:
        return _shown(definitions.get(reference.split("/")[-1], {}), definitions, depth + 1) if depth < 8 else {}
    found: Dict[str, Any] = {}
    for key, value in schema.items():
        if key not in KEYWORDS:
            continue
        if key == "properties":
            found[key] = {name: _shown(inner, definitions, depth + 1) for name, inner in value.items()}
        elif key == "anyOf":
            found[key] = [_shown(inner, definitions, depth + 1) for inner in value]
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            found[key] = _shown(value, definitions, depth + 1)
        elif key != "format" or value in ("date", "date-time"):
            found[key] = value
    return found

"""Plain type hints as a declaration: the annotations of `run()` become its signature, and values become what was annotated.

int, float, str, bool, list[…], dict[str, …], Optional, Union, Literal, Enum, date, datetime, dataclasses, TypedDict, pydantic models,
numpy.ndarray and pandas.DataFrame. `Annotated[numpy.ndarray, Tensor("float32", (-1, 4))]` says more about an array.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import enum
import inspect
import sys
import typing
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from fairlead_scoring.schema import DeclarationError, Field, Signature, Table, Tensor, Value
from fairlead_scoring.schema.keywords import KEYWORDS
from fairlead_scoring.worker.arguments import moment
from fairlead_scoring.worker.made_up import made_up
from fairlead_scoring.worker.parameters import Parameters
from fairlead_scoring.worker.unfit import Convert, Unfit, attempt, refusing

SIMPLE = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


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
        field = Field(parameter.name, declared, required=required, default=None if required else parameter.default)
        fields.append(dataclasses.replace(field, example=made_up(field, convert)) if required else field)
        if convert is not None:
            converters[parameter.name] = refusing(parameter.name, convert)
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
        return Tensor(_item_type(hint), None), None
    if library == "pandas" and name == "DataFrame":
        return Value({"type": "array", "items": {"type": "object"}}), sys.modules["pandas"].DataFrame
    schema, convert = _schema(hint, where)
    return Value(schema), convert


def _item_type(hint: Any) -> str:
    """`numpy.typing.NDArray[numpy.float32]` says it; a bare ndarray holds float64."""
    inside = getattr(hint, "__args__", ())
    item = getattr(inside[-1], "__args__", ()) if inside else ()
    return str(item[0].__name__) if item and isinstance(item[0], type) else "float64"


def _schema(hint: Any, where: str) -> Tuple[Dict[str, Any], Optional[Convert]]:  # noqa: PLR0911  (one per kind of annotation)
    if hasattr(hint, "__metadata__"):
        return _annotated(hint, where)
    if hint in (Any, object, inspect.Parameter.empty):
        return {}, None
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}, None
    if hint in (dt.date, dt.datetime):
        return ({"type": "string", "format": "date"}, dt.date.fromisoformat) if hint is dt.date else ({"type": "string", "format": "date-time"}, _instant)
    origin, inside = _origin(hint), getattr(hint, "__args__", ())
    if origin is not None:
        return _generic(origin, inside, where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}, hint
    if hasattr(hint, "model_validate") or hasattr(hint, "parse_obj"):
        return _model(hint)
    if dataclasses.is_dataclass(hint) or hasattr(hint, "__total__"):
        return _record(hint, where)
    if hint in (list, dict):
        return {"type": "array" if hint is list else "object"}, None
    raise DeclarationError(f"{where} is annotated with {hint}, which a JSON body cannot be checked against")


def _instant(text: str) -> dt.datetime:
    return moment(text).replace(tzinfo=dt.timezone.utc)


def _origin(hint: Any) -> Any:
    return getattr(hint, "__origin__", None) or ("union" if type(hint).__name__ == "UnionType" else None)


def _generic(origin: Any, inside: Tuple[Any, ...], where: str) -> Tuple[Dict[str, Any], Optional[Convert]]:
    if origin in (list, List, tuple, collections.abc.Sequence) and len([one for one in inside if one is not Ellipsis]) == 1:
        items, convert = _schema(inside[0], where)
        return {"type": "array", "items": items}, _each(convert)
    if origin in (dict, Dict):
        values, convert = _schema(inside[1], where)
        return {"type": "object", "additionalProperties": values}, _each_value(convert)
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
    return None if convert is None else lambda values: [attempt(convert, value, place) for place, value in enumerate(values)]


def _each_value(convert: Optional[Convert]) -> Optional[Convert]:
    return None if convert is None else lambda values: {key: attempt(convert, value, key) for key, value in values.items()}


def _unless_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _record(hint: Any, where: str) -> Tuple[Dict[str, Any], Optional[Convert]]:
    """A dataclass or a TypedDict."""
    hints = _hints(hint)
    if dataclasses.is_dataclass(hint):
        missing = dataclasses.MISSING
        given = [field for field in dataclasses.fields(hint) if field.init]
        hints = {field.name: hints[field.name] for field in given}
        required = [field.name for field in given if field.default is missing and field.default_factory is missing]
    else:
        required = sorted(getattr(hint, "__required_keys__", hints))
    parts = {name: _schema(inner, f"{where}, field '{name}'") for name, inner in hints.items()}
    schema: Dict[str, Any] = {"type": "object", "properties": {name: schema for name, (schema, _) in parts.items()}, "required": required}
    schema["additionalProperties"] = False
    converts = {name: convert for name, (_, convert) in parts.items() if convert is not None}

    def convert_record(value: Any) -> Any:
        filled = {name: attempt(converts[name], inner, name) if name in converts else inner for name, inner in value.items()}
        return hint(**filled)

    return schema, convert_record


def _annotated(hint: Any, where: str) -> Tuple[Dict[str, Any], Optional[Convert]]:
    """`Annotated[int, "a note"]` is an int; what pydantic would enforce, pydantic does."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not any(type(extra).__module__.split(".")[0] in ("pydantic", "annotated_types") for extra in hint.__metadata__):
        return _schema(hint.__origin__, where)
    adapter = pydantic.TypeAdapter(hint)
    whole = adapter.json_schema()
    return _shown(whole, whole.get("$defs", {}), 0), _validating(adapter.validate_python)


def _model(model: Any) -> Tuple[Dict[str, Any], Optional[Convert]]:
    """A pydantic model, 2 or 1. It checks for itself; the schema is for the documents, as far as they can show it."""
    if hasattr(model, "model_validate"):
        whole = model.model_json_schema()
        return _shown(whole, whole.get("$defs", {}), 0), _validating(model.model_validate)
    whole = model.schema()
    return _shown(whole, whole.get("definitions", {}), 0), _validating(model.parse_obj)


def _validating(validate: Convert) -> Convert:
    def convert(value: Any) -> Any:
        try:
            return validate(value)
        except ValueError as error:
            said: Any = getattr(error, "errors", None)
            if said is None:
                raise
            raise Unfit([(one["loc"], one["msg"], one.get("input", value)) for one in said()]) from error

    return convert


def _shown(schema: Any, definitions: Dict[str, Any], depth: int) -> Dict[str, Any]:
    """Our subset of JSON Schema: references followed, and what it says for people."""
    reference = schema.get("$ref")
    if reference:
        return _shown(definitions.get(reference.split("/")[-1], {}), definitions, depth + 1) if depth < 8 else {}
    found: Dict[str, Any] = {}
    for key, value in schema.items():
        if key == "examples" and value:
            found["example"] = value[0]
        if key not in KEYWORDS and key not in ("description", "default"):
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

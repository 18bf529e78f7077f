"""Scripts decorated with the `inference-schema` library: the user's installed library says what fits and converts it.

The library converts inside its wrapper around `run()`, so that a body that does not fit would count as the script's failure. Here
the same conversion is done first, by the same objects. For the library's own types the wrapper is then given the converted values: it
finds them to be of the sample's type and leaves them alone. A user's own type promises no such thing: there the conversion is only a
check, and the wrapper gets the value as it came. A parameter below a decorator of the user's is not touched at all, for that decorator
may be there to change the body.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from fairlead_scoring.schema import Column, DeclarationError, Field, Mismatch, Table, Tensor, Value, check
from fairlead_scoring.schema.check import shorten
from fairlead_scoring.worker.exchange import BadInput

LIBRARY = "inference_schema"


class Decorated(NamedTuple):
    """One @input_schema: the parameter, the library's type object, whether the wrapper converts it, whether it may be left out."""

    name: str
    type: Any
    converts: bool
    optional: bool
    is_outermost: bool  # no decorator of the user's sees the body before it


def is_decorated(run: Callable[..., Any]) -> bool:
    """As the library itself tells: by module and name of the innermost function."""
    util = sys.modules.get(LIBRARY + ".schema_util")
    return util is not None and bool(util.is_schema_decorated(run))


def swagger_of(run: Callable[..., Any]) -> Dict[str, Dict[str, Any]]:
    """version → the library's own fragments for input and output."""
    util = sys.modules[LIBRARY + ".schema_util"]
    said = {"input": util.get_input_schema(run), "output": util.get_output_schema(run)}
    return {str(version): said for version in util.get_supported_versions(run)}


def inputs_of(run: Callable[..., Any]) -> List[Decorated]:
    """What the wrappers around `run` hold, outermost first. Empty where the library's inside is not as known."""
    found: List[Decorated] = []
    layer: Any = run
    is_outermost = True
    while layer is not None:
        wrapper: Any = getattr(layer, "_self_wrapper", None)
        if getattr(wrapper, "__module__", None) == LIBRARY + ".schema_decorators":
            held = inspect.getclosurevars(wrapper).nonlocals
            if "param_name" in held and "param_type" in held:
                converts, optional = bool(held.get("convert_to_provided_type", True)), bool(held.get("optional", False))
                found.append(Decorated(held["param_name"], held["param_type"], converts, optional, is_outermost))
        else:
            is_outermost = False
        layer = getattr(layer, "__wrapped__", None)
    return found


def convert(decorated: List[Decorated], arguments: Dict[str, Any]) -> None:
    """In place, what the wrappers would do. Raises BadInput where a value does not fit."""
    decorators = sys.modules[LIBRARY + ".schema_decorators"]
    deserialize = getattr(decorators, "_deserialize_input_argument", None)
    if deserialize is None:
        return  # another version of the library: its wrapper converts by itself
    for one in decorated:
        if not (one.converts and one.is_outermost) or one.name not in arguments or (one.optional and not arguments[one.name]):
            continue
        given = arguments[one.name]
        try:
            converted = deserialize(_spared(given, one.type), one.type, one.name)
        except MemoryError:
            raise
        except Exception as error:
            raise _refused(one, given, error) from error
        if _is_of_the_library(one.type):
            arguments[one.name] = converted


def _spared(value: Any, declared: Any) -> Any:
    """The library converts inside dicts in place; what was sent is still needed, to say what was wrong with it."""
    inside, items = _parts(declared)
    if isinstance(value, dict):
        return {key: _spared(one, inside[key]) if key in inside else one for key, one in value.items()}
    if isinstance(value, (list, tuple)) and items and any(_parts(items[0])):
        return [_spared(one, items[0]) for one in value]
    return value


def _parts(declared: Any) -> Tuple[Dict[str, Any], List[Any]]:
    """The types nested in a type, by key or as items."""
    return getattr(declared, "sample_data_type_map", None) or {}, list(getattr(declared, "sample_data_type_list", None) or ())


def _is_of_the_library(declared: Any) -> bool:
    inside, items = _parts(declared)
    return type(declared).__module__.startswith(LIBRARY + ".") and all(map(_is_of_the_library, [*inside.values(), *items]))


def _refused(one: Decorated, given: Any, error: Exception) -> BadInput:
    """With field, row and column where our own description of the type finds them, else in the library's words."""
    field = field_of(one)
    if field is not None:
        try:
            check(field, given)
        except Mismatch as mismatch:
            return BadInput(str(mismatch), detail={"errors": mismatch.errors()})
    said = f"{one.name}: {str(error) or type(error).__name__}"
    return BadInput(said, detail={"errors": [{"field": one.name, "row": None, "column": None, "expected": said, "got": shorten(given)}]})


def field_of(one: Decorated) -> Optional[Field]:
    """The same declaration in our own words; None where there are none (a user's own type, a structured dtype)."""
    kind = type(one.type).__name__
    sample: Any = getattr(one.type, "sample_input", None)
    required = not one.optional
    try:
        if kind == "NumpyParameterType" and sample.dtype.names is None:
            shape = (-1, *sample.shape[1:]) if one.type.enforce_shape and sample.ndim else None
            declared = Tensor(_dtype(sample.dtype), shape, nulls=sample.dtype.kind == "f")  # the library makes NaN of null
            return Field(one.name, declared, required=required, example=sample[:3].tolist())
        if kind == "PandasParameterType" and one.type.orient in ("records", "split", "values"):
            columns = tuple(Column(str(name), _dtype(dtype), nullable=dtype.kind in "fO") for name, dtype in sample.dtypes.items())
            rows = json.loads(sample.head(3).to_json(orient=one.type.orient, date_format="iso"))
            return Field(one.name, Table(columns, one.type.orient), required=required, example=rows)
        if kind == "StandardPythonParameterType":
            swagger = one.type.input_to_swagger()
            return Field(one.name, Value(_checked(swagger)), required=required, example=swagger.get("example"))
    except (DeclarationError, AttributeError, TypeError, ValueError):
        return None
    return None


def _checked(swagger: Dict[str, Any]) -> Dict[str, Any]:
    """Of the library's description what it also checks: types, not formats or presence."""
    schema: Dict[str, Any] = {"type": swagger["type"]}
    if "items" in swagger:
        schema["items"] = _checked(swagger["items"])
    if "properties" in swagger:
        schema["properties"] = {name: _checked(inner) for name, inner in swagger["properties"].items()}
    return schema


def _dtype(dtype: Any) -> str:
    return "object" if dtype.kind == "O" else "str" if dtype.kind in "US" else str(dtype.name)


def stackable_of(decorated: List[Decorated]) -> Optional[str]:
    """The one array or DataFrame whose rows may be put on top of another request's."""
    names = [one.name for one in decorated if type(one.type).__name__ in ("NumpyParameterType", "PandasParameterType") and one.converts and one.is_outermost]
    return names[0] if len(names) == 1 else None

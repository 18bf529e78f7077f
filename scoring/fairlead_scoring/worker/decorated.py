"""Scripts decorated with the `inference-schema` library: the user's installed library says what fits and converts it.

The library converts inside its wrapper around `run()`, so that a body that does not fit would count as the script's failure. Here
the same conversion is done first, by the same objects; the wrapper then finds values of the right type and leaves them alone.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from fairlead_scoring.schema import Column, DeclarationError, Field, Mismatch, Table, Tensor, Value, check
from fairlead_scoring.schema.check import shorten
from fairlead_scoring.worker.exchange import BadInput

LIBRARY = "inference_schema"


class Decorated(NamedTuple):
    """One @input_schema: the parameter, the library's type object, whether it converts, whether it may be left out."""

    name: str
    type: Any
    converts: bool
    optional: bool


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
    """What the wrappers around `run` hold, outermost last applied. Empty where the library's inside is not as known."""
    found: List[Decorated] = []
    layer: Any = run
    while hasattr(layer, "_self_wrapper"):
        held = inspect.getclosurevars(layer._self_wrapper).nonlocals
        if "param_name" in held and "param_type" in held:
            converts, optional = bool(held.get("convert_to_provided_type", True)), bool(held.get("optional", False))
            found.append(Decorated(held["param_name"], held["param_type"], converts, optional))
        layer = layer.__wrapped__
    return found


def convert(decorated: List[Decorated], arguments: Dict[str, Any]) -> None:
    """In place, what the wrappers would do. Raises BadInput where a value does not fit."""
    decorators = sys.modules[LIBRARY + ".schema_decorators"]
    deserialize = getattr(decorators, "_deserialize_input_argument", None)
    if deserialize is None:
        return  # another version of the library: its wrapper converts by itself
    for one in decorated:
        if not one.converts or one.name not in arguments or (one.optional and not arguments[one.name]):
            continue
        given = arguments[one.name]
        try:
            arguments[one.name] = deserialize(given, one.type, one.name)
        except Exception as error:  # noqa: BLE001  (whatever the library or a user's own type raises, the value did not fit)
            raise _refused(one, given, error) from error


def _refused(one: Decorated, given: Any, error: Exception) -> BadInput:
    """With field, row and column where our own description of the type finds them, else in the library's words."""
    field = field_of(one)
    if field is not None:
        try:
            check(field, given)
        except Mismatch as mismatch:
            return BadInput(str(mismatch), detail={"errors": mismatch.errors()})
    said = "{}: {}".format(one.name, str(error) or type(error).__name__)
    return BadInput(said, detail={"errors": [{"field": one.name, "row": None, "column": None, "expected": said, "got": shorten(given)}]})


def field_of(one: Decorated) -> Optional[Field]:
    """The same declaration in our own words; None where there are none (a user's own type, a structured dtype)."""
    kind = type(one.type).__name__
    sample = getattr(one.type, "sample_input", None)
    required = not one.optional
    try:
        if kind == "NumpyParameterType" and sample.dtype.names is None:
            shape = (-1,) + tuple(sample.shape[1:]) if one.type.enforce_shape and sample.ndim else None
            return Field(one.name, Tensor(_dtype(sample.dtype), shape), required=required, example=sample[:3].tolist())
        if kind == "PandasParameterType" and one.type.orient in ("records", "split", "values"):
            columns = tuple(Column(str(name), _dtype(dtype)) for name, dtype in sample.dtypes.items())
            return Field(one.name, Table(columns, one.type.orient), required=required)
        if kind == "StandardPythonParameterType":
            schema = {name: value for name, value in one.type.input_to_swagger().items() if name in ("type", "items", "properties")}
            return Field(one.name, Value(schema), required=required)
    except (DeclarationError, AttributeError, TypeError, ValueError):
        return None
    return None


def _dtype(dtype: Any) -> str:
    return "object" if dtype.kind == "O" else "str" if dtype.kind in "US" else str(dtype.name)


def stackable_of(decorated: List[Decorated]) -> Optional[str]:
    """The one array or DataFrame whose rows may be put on top of another request's."""
    names = [one.name for one in decorated if type(one.type).__name__ in ("NumpyParameterType", "PandasParameterType") and one.converts]
    return names[0] if len(names) == 1 else None

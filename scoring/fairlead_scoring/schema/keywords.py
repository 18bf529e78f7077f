"""The JSON Schema subset a `Value` may declare: every keyword is either enforced here or refused when it is declared."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Pattern

from fairlead_scoring.schema.documents import DeclarationError, Schema
from fairlead_scoring.schema.scalars import FLOATS, INTEGERS, Number, is_moment, is_null

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
ANNOTATIONS = frozenset(["title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "$comment"])
FORMATS = ("date-time", "date", "float", "double", *tuple(INTEGERS))

_NUMBERS = frozenset(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
_COUNTS = frozenset(["minLength", "maxLength", "minItems", "maxItems"])
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)


class Violation(NamedTuple):
    """Where in the value ("items[2].name", "" for the whole), what was expected there, what is there."""

    path: str
    expected: str
    value: Any


ABSENT = object()


def declare(schema: Any, where: str = "schema") -> Schema:
    """A copy of the schema, every keyword known to be enforced. Raises DeclarationError otherwise."""
    if not isinstance(schema, dict):
        raise DeclarationError(f"{where} must be an object, got {type(schema).__name__}.")
    out: Schema = {}
    for key, said in schema.items():
        if key in ANNOTATIONS or str(key).startswith("x-"):
            out[key] = said
        elif key in _DECLARED:
            out[key] = _DECLARED[key](said, f"{where}.{key}")
        else:
            raise DeclarationError("{}: keyword {!r} is not enforced here; write one of {}.".format(where, key, ", ".join(sorted(_DECLARED))))
    if out.get("format") in INTEGERS:  # said in numbers too, for clients that leave formats alone
        out.setdefault("minimum", INTEGERS[out["format"]][0])
        out.setdefault("maximum", INTEGERS[out["format"]][1])
    return out


def violations(schema: Schema, value: Any, path: str = "") -> Iterator[Violation]:
    """Everything in the value that the declared schema does not allow."""
    if is_null(value) and _takes_null(schema):
        return
    if value is not None and is_null(value):
        yield Violation(path, _type_words(schema), value)
        return
    if "type" in schema and not _of_type(schema["type"], value):
        yield Violation(path, _type_words(schema), value)
        return
    if "const" in schema and not same(schema["const"], value):
        yield Violation(path, _text(schema["const"]), value)
    if "enum" in schema and not any(same(choice, value) for choice in schema["enum"]):
        yield Violation(path, "one of " + ", ".join(map(_text, schema["enum"])), value)
    if "anyOf" in schema:
        yield from _any_violations(schema["anyOf"], value, path)
    inside = _INSIDE.get(type(value))
    if inside:
        yield from inside(schema, value, path)


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _takes_null(schema: Schema) -> bool:
    if schema.get("nullable") or "null" in _names(schema.get("type")):
        return True
    if "type" in schema:
        return False
    constrained = list(schema.get("enum", [])) + ([schema["const"]] if "const" in schema else [])
    if constrained:
        return None in constrained
    return any(map(_takes_null, schema["anyOf"])) if "anyOf" in schema else True


def _names(declared: Any) -> List[str]:
    return declared if isinstance(declared, list) else [] if declared is None else [declared]


def _of_type(declared: Any, value: Any) -> bool:
    kind = _KIND.get(type(value), "")
    names = _names(declared)
    return kind in names or (kind == "integer" and "number" in names)


_KIND = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def _type_words(schema: Schema) -> str:
    names = _names(schema.get("type")) or ["value"]
    if schema.get("nullable") and "null" not in names:
        names = [*names, "null"]
    words = {"boolean": "true or false", "null": "null", "integer": "an integer", "array": "an array", "object": "an object"}
    if names in (["integer"], ["number"]):
        return words.get(names[0], "a number") + _limits(schema)
    return " or ".join(words.get(name, "a " + name) for name in names)


def _limits(schema: Schema) -> str:
    said = [("minimum", "of at least"), ("exclusiveMinimum", "above"), ("maximum", "of at most"), ("exclusiveMaximum", "below")]
    if "minimum" in schema and "maximum" in schema:
        return " between {} and {}".format(schema["minimum"], schema["maximum"])
    words = [f"{phrase} {schema[key]}" for key, phrase in said if key in schema]
    return " " + " and ".join(words) if words else ""


def _any_violations(choices: List[Schema], value: Any, path: str) -> Iterator[Violation]:
    found: List[List[Violation]] = []
    for choice in choices:
        problems = list(violations(choice, value, path))
        if not problems:
            return
        found.append(problems)
    deep = [problems for problems in found if all(len(problem.path) > len(path) for problem in problems)]
    if len(deep) == 1:  # one choice fits on the surface: its inner problem helps more than the list of choices
        yield from deep[0]
    else:
        yield Violation(path, " or ".join(dict.fromkeys(problems[0].expected for problems in found)), value)


def _number_violations(schema: Schema, value: Any, path: str) -> Iterator[Violation]:
    low, high = INTEGERS.get(schema.get("format", ""), (None, None))
    outside = (
        ("minimum" in schema and value < schema["minimum"])
        or ("maximum" in schema and value > schema["maximum"])
        or ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
        or ("exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"])
    )
    if outside:
        yield Violation(path, "a number" + _limits(schema), value)
    elif low is not None and high is not None and not (low <= value <= high and value == int(value)):
        yield Violation(path, f"an integer between {low} and {high}", value)
    elif schema.get("format") in ("float", "double") and abs(value) > FLOATS["float32" if schema["format"] == "float" else "float64"]:
        yield Violation(path, "a number that fits a {}".format(schema["format"]), value)


def _string_violations(schema: Schema, value: str, path: str) -> Iterator[Violation]:
    if len(value) < schema.get("minLength", 0):
        yield Violation(path, "at least {} characters".format(schema["minLength"]), value)
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield Violation(path, "at most {} characters".format(schema["maxLength"]), value)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield Violation(path, "a string that matches {}".format(schema["pattern"]), value)
    form: Optional[Pattern[str]] = {"date": _DATE, "date-time": _RFC_3339}.get(schema.get("format", ""))
    if form is not None and not (form.match(value) and is_moment(value)):
        words = {"date": "a date such as 2026-11-21", "date-time": "a time such as 2026-11-21T11:26:37Z"}
        yield Violation(path, words[schema["format"]], value)


def _array_violations(schema: Schema, value: List[Any], path: str) -> Iterator[Violation]:
    if len(value) < schema.get("minItems", 0):
        yield Violation(path, "at least {} items".format(schema["minItems"]), value)
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        yield Violation(path, "at most {} items".format(schema["maxItems"]), value)
    if "items" in schema:
        for index, item in enumerate(value):
            yield from violations(schema["items"], item, f"{path}[{index}]")


def _object_violations(schema: Schema, value: Dict[str, Any], path: str) -> Iterator[Violation]:
    properties = schema.get("properties", {})
    rest = schema.get("additionalProperties", True)
    for name in schema.get("required", []):
        if name not in value:
            yield Violation(_below(path, name), "a value", ABSENT)
    for name, item in value.items():
        if name in properties:
            yield from violations(properties[name], item, _below(path, name))
        elif rest is False:
            yield Violation(_below(path, name), "nothing: the properties are " + (", ".join(properties) or "none"), item)
        elif rest is not True:
            yield from violations(rest, item, _below(path, name))


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_INSIDE: Dict[type, Callable[[Schema, Any, str], Iterator[Violation]]] = {
    int: _number_violations,
    float: _number_violations,
    str: _string_violations,
    list: _array_violations,
    dict: _object_violations,
}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _declare_type(said: Any, where: str) -> Any:
    if not _names(said) or any(name not in TYPES for name in _names(said)):
        raise DeclarationError("{} is {}; write one of {}, or a list of them.".format(where, _text(said), ", ".join(TYPES)))
    return said


def _declare_list(said: Any, where: str) -> Any:
    if not isinstance(said, list) or not said:
        raise DeclarationError(f"{where} must be a list with something in it.")
    return said


def _declare_required(said: Any, where: str) -> Any:
    if not isinstance(said, list) or not all(isinstance(name, str) for name in said):
        raise DeclarationError(f"{where} must be a list of property names.")
    return said


def _declare_number(said: Any, where: str) -> Number:
    if type(said) not in (int, float) or is_null(said):
        raise DeclarationError(f"{where} must be a number, got {_text(said)}.")
    return said  # type: ignore[no-any-return]


def _declare_count(said: Any, where: str) -> int:
    if type(said) is not int or said < 0:
        raise DeclarationError(f"{where} must be a whole number, got {_text(said)}.")
    return said


def _declare_pattern(said: Any, where: str) -> str:
    try:
        re.compile(said)
    except (TypeError, re.error) as fault:
        raise DeclarationError(f"{where} is not a regular expression: {fault}.") from None
    return str(said)


def _declare_format(said: Any, where: str) -> str:
    if said not in FORMATS:
        raise DeclarationError("{} {} is not enforced here; write one of {}, or a pattern.".format(where, _text(said), ", ".join(FORMATS)))
    return str(said)


def _declare_flag(said: Any, where: str) -> bool:
    if not isinstance(said, bool):
        raise DeclarationError(f"{where} must be true or false, got {_text(said)}.")
    return said


def _declare_properties(said: Any, where: str) -> Schema:
    if not isinstance(said, dict):
        raise DeclarationError(f"{where} must be an object of schemas.")
    return {name: declare(part, f"{where}.{name}") for name, part in said.items()}


def _declare_const(said: Any, _where: str) -> Any:
    return said


_DECLARED: Dict[str, Callable[[Any, str], Any]] = {
    "type": _declare_type,
    "enum": _declare_list,
    "const": _declare_const,
    "pattern": _declare_pattern,
    "format": _declare_format,
    "items": declare,
    "properties": _declare_properties,
    "required": _declare_required,
    "additionalProperties": lambda said, where: said if isinstance(said, bool) else declare(said, where),
    "nullable": _declare_flag,
    "anyOf": lambda said, where: [declare(part, where) for part in _declare_list(said, where)],
    **dict.fromkeys(_NUMBERS, _declare_number),
    **dict.fromkeys(_COUNTS, _declare_count),
}

KEYWORDS = frozenset(_DECLARED)

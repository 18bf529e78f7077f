"""A value that fits a schema, for the line to paste and the documents, where nobody gave an example."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from fairlead_scoring.schema import Field, Value, check

PLAIN = {"null": None, "boolean": False, "string": "text", "date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z"}


def made_up(field: Field, convert: Optional[Callable[[Any], Any]]) -> Any:
    """None when no value is found that passes the check and the conversion."""
    if not isinstance(field.type, Value):
        return None
    value = _of(field.type.schema)
    try:
        check(field, value)
        if convert is not None and value is not None:
            convert(value)
    except Exception:  # noqa: BLE001 - the user's own validators; what they refuse is no example
        return None
    return value


def _of(schema: Dict[str, Any]) -> Any:
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    for key in ("enum", "anyOf"):
        if schema.get(key):
            return schema["enum"][0] if key == "enum" else _of(schema["anyOf"][0])
    said = schema.get("type", "object" if "properties" in schema else "null")
    kind = said if isinstance(said, str) else said[0]
    if kind == "object":
        return {name: _of(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [_of(schema["items"])] * max(int(schema.get("minItems", 1)), 1) if "items" in schema else []
    return _number(schema) if kind in ("integer", "number") else PLAIN.get(schema.get("format", kind))


def _number(schema: Dict[str, Any]) -> Any:
    """The smallest that is allowed and not negative, else zero."""
    low = max(schema.get("minimum", 0), schema["exclusiveMinimum"] + 1 if "exclusiveMinimum" in schema else 0)
    return min(low, schema.get("maximum", low))

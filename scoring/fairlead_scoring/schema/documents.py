"""What differs between Swagger 2.0, OpenAPI 3.0 and OpenAPI 3.1 when they show the same schema."""

from __future__ import annotations

from typing import Any, Dict, List

SWAGGER_2 = "2.0"
OPENAPI_30 = "3.0"
OPENAPI_31 = "3.1"
VERSIONS = (SWAGGER_2, OPENAPI_30, OPENAPI_31)

Schema = Dict[str, Any]

ANYTHING = ("array", "boolean", "number", "object", "string")


class DeclarationError(ValueError):
    """A schema that cannot be enforced as it is written; the sentence says which part and what to write."""


def with_null(schema: Schema, version: str) -> Schema:
    """The same schema, null allowed."""
    if version == SWAGGER_2:
        return dict(schema, **{"x-nullable": True})
    allowed = dict(schema)
    if "enum" in schema and None not in schema["enum"]:
        allowed["enum"] = [*list(schema["enum"]), None]
    if version == OPENAPI_30:
        allowed["nullable"] = True
    elif isinstance(schema.get("type"), str):
        allowed["type"] = [schema["type"], "null"]
    elif "type" in schema:
        allowed["type"] = list(schema["type"]) + [name for name in ("null",) if name not in schema["type"]]
    elif "anyOf" in schema:
        allowed["anyOf"] = [*list(schema["anyOf"]), {"type": "null"}]
    return allowed


def any_of(choices: List[Schema], version: str) -> Schema:
    """One of several schemas; Swagger 2.0 cannot say that and shows the first."""
    if version == SWAGGER_2 or len(choices) == 1:
        return choices[0]
    return {"anyOf": choices}


def shown(schema: Schema, version: str) -> Schema:
    """A declared schema (JSON Schema 2020-12 subset, plus `nullable`) in the words of the document's version."""
    if version not in VERSIONS:
        raise DeclarationError("OpenAPI version {!r} is unknown; write one of {}.".format(version, ", ".join(VERSIONS)))
    unknown = _UNKNOWN_TO.get(version, frozenset())
    out = {key: value for key, value in schema.items() if key not in _REWRITTEN and key not in unknown}
    _show_type(schema, out, version)
    _show_limits(schema, out, version)
    for key in ("items", "additionalProperties"):
        if key in schema:
            out[key] = shown(schema[key], version) if isinstance(schema[key], dict) else schema[key]
    if "properties" in schema:
        out["properties"] = {name: shown(part, version) for name, part in schema["properties"].items()}
    if "anyOf" in schema and version != SWAGGER_2:
        out["anyOf"] = [shown(part, version) for part in schema["anyOf"]]
    if out.get("type") == "array" and version != OPENAPI_31:
        out.setdefault("items", {})
    return with_null(out, version) if schema.get("nullable") or _null_among_types(schema) else out


_REWRITTEN = frozenset(
    ["type", "items", "additionalProperties", "properties", "anyOf", "nullable", "const", "exclusiveMinimum", "exclusiveMaximum", "examples"]
)

_UNKNOWN_TO = {SWAGGER_2: frozenset(["$comment", "deprecated", "writeOnly"]), OPENAPI_30: frozenset(["$comment"])}


def _null_among_types(schema: Schema) -> bool:
    return isinstance(schema.get("type"), list) and "null" in schema["type"]


def _show_type(schema: Schema, out: Schema, version: str) -> None:
    declared = schema.get("type")
    names = [name for name in (declared if isinstance(declared, list) else [declared]) if name not in (None, "null")]
    if len(names) == 1:
        out["type"] = names[0]
    elif declared in ("null", ["null"]):
        out["enum"] = [None]
    elif names and version == OPENAPI_31:
        out["type"] = names
    elif names and version == OPENAPI_30:
        out["anyOf"] = [{"type": name, "items": {}} if name == "array" else {"type": name} for name in names]


def _show_limits(schema: Schema, out: Schema, version: str) -> None:
    if version == OPENAPI_31:
        out.update({key: schema[key] for key in ("const", "exclusiveMinimum", "exclusiveMaximum", "examples") if key in schema})
        return
    if "const" in schema:
        out["enum"] = [schema["const"]]
    for limit, exclusive, tighter in (("minimum", "exclusiveMinimum", max), ("maximum", "exclusiveMaximum", min)):
        if exclusive in schema:
            both = [schema[exclusive]] + ([schema[limit]] if limit in schema else [])
            out[limit] = tighter(both)
            if out[limit] == schema[exclusive]:
                out[exclusive] = True

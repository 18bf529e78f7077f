"""The three documents are valid for a validator that is not ours, and keep the names that generated clients use."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fairlead_scoring.openapi import Service, VersionError, document, text
from fairlead_scoring.schema import Column, Field, Mismatch, Table, Tensor, Value, check
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

VALIDATORS = {"2": OpenAPIV2SpecValidator, "3": OpenAPIV30SpecValidator, "3.1": OpenAPIV31SpecValidator}

PEOPLE = Table((Column("age", "int64", minimum=0, maximum=150), Column("sex", "str", nullable=True, categories=("f", "m")), Column("on", "datetime64")))
METHOD = Value({"type": "string", "enum": ["predict", "predict_proba"]})
ODD = Value(
    {
        "type": ["object", "null"], "title": "odd", "$comment": "c", "examples": [{}], "deprecated": True, "writeOnly": False,
        "properties": {
            "a": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0, "format": "int32"}, {"type": "null"}]},
            "b": {"type": ["array", "string"], "items": {"const": 5}, "maxItems": 3},
            "c": {"type": "array"}, "d": {"type": "number", "nullable": True, "maximum": 4, "exclusiveMaximum": 3.5}, "e": {"type": "null"},
            "f": {"enum": ["x"], "type": "string", "nullable": True}, "g": {"type": "string", "format": "date-time"},
        },
        "required": ["a"], "additionalProperties": {"type": "boolean"},
    }
)  # fmt: skip
FIELDS = {
    "tensor": Field("data", Tensor("float32", (-1, 3)), example=[[1, 2, 3]]),
    "nulls": Field("data", Tensor("uint8", (-1,), nulls=True)),
    "scalar": Field("data", Tensor("str", ())),
    "any": Field("data", Tensor("bool")),
    "object": Field("data", Tensor("object", (-1, -1))),
    "people": Field("data", PEOPLE),
    "floats": Field("data", Table((Column("a", "float64"), Column("b", "float64")), orient="values")),
    "odd": Field("data", ODD, required=False, default={"a": 1}),
}


def typed(*fields: Field, **more: Any) -> dict[str, Any]:
    inputs = [field.to_json() for field in fields]
    return {"kind": "typed", "inputs": inputs, "output": Field("out", Tensor("int64", (-1,))).to_json(), "methods": ["GET", "POST"], **more}


FULL = typed(
    FIELDS["tensor"], Field("method", METHOD, required=False, default="predict"),
    dialects=["score", "v2", "invocations"], model={"name": "ridge", "version": "3"}, sample={"data": [[1, 2, 3]]},
)  # fmt: skip
UNDECLARED = {"kind": "text", "inputs": [], "output": None, "methods": ["GET", "POST"]}


@pytest.mark.parametrize("asked", VALIDATORS)
@pytest.mark.parametrize("name", FIELDS)
def test_every_type_is_valid_in_every_version(asked: str, name: str) -> None:
    VALIDATORS[asked](document(typed(FIELDS[name]), asked)).validate()


@pytest.mark.parametrize("asked", VALIDATORS)
@pytest.mark.parametrize("contract", [FULL, UNDECLARED, {"kind": "raw", "methods": ["GET", "POST", "OPTIONS"]}], ids=["full", "undeclared", "raw"])
@pytest.mark.parametrize("service", [Service(), Service("churn", "3", "/api/v1/service/churn/", keys=True, url="http://h:5001/x")], ids=["plain", "keyed"])
def test_every_contract_is_valid_in_every_version(asked: str, contract: dict[str, Any], service: Service) -> None:
    VALIDATORS[asked](document(contract, asked, service)).validate()


def test_swagger_2_is_what_the_real_server_says() -> None:
    """Structure observed on azureml-inference-server-http 1.5.1; ours adds codes and drops the key that nobody asks for."""
    keyed = document(FULL, "2", Service(keys=True))
    assert keyed["swagger"] == "2.0"
    assert keyed["info"] == {"title": "ML service", "description": "API specification for the Azure Machine Learning service ML service", "version": "1.0"}
    assert (keyed["schemes"], keyed["consumes"], keyed["produces"]) == (["https"], ["application/json"], ["application/json"])
    assert keyed["securityDefinitions"]["Bearer"] == {
        "type": "apiKey", "name": "Authorization", "in": "header", "description": "For example: Bearer abc123",
    }  # fmt: skip
    operations = {path: {method: operation["operationId"] for method, operation in methods.items()} for path, methods in keyed["paths"].items()}
    assert operations == {"/": {"get": "ServiceHealthCheck"}, "/score": {"post": "RunMLService"}, "/swagger.json": {"get": "GetSwaggerSpec"}}
    score = keyed["paths"]["/score"]["post"]
    assert score["security"] == [{"Bearer": []}]
    assert [(each["name"], each["in"], each["schema"]) for each in score["parameters"]] == [
        ("serviceInputPayload", "body", {"$ref": "#/definitions/ServiceInput"})
    ]
    assert score["responses"]["200"]["schema"] == {"$ref": "#/definitions/ServiceOutput"}
    assert score["responses"]["default"]["schema"] == {"$ref": "#/definitions/ErrorResponse"}
    assert "security" not in keyed["paths"]["/"]["get"]
    assert set(keyed["definitions"]) == {"ServiceInput", "ServiceOutput", "ErrorResponse"}
    given = keyed["definitions"]["ServiceInput"]
    assert (given["type"], given["required"], given["example"]) == ("object", ["data"], {"data": [[1, 2, 3]]})


def test_an_undecorated_script_is_an_object_with_an_empty_example() -> None:
    for asked, place in (("2", "definitions"), ("3", "components"), ("3.1", "components")):
        schemas = document(UNDECLARED, asked)[place]
        schemas = schemas.get("schemas", schemas)
        assert schemas["ServiceInput"] == schemas["ServiceOutput"] == {"type": "object", "example": {}}


def test_fragments_of_inference_schema_go_in_untouched() -> None:
    given = {"type": "object", "properties": {"data": {"type": "array", "format": "numpy.ndarray"}}, "example": {"data": []}}
    contract = {"kind": "schema", "swagger": {"3.0": {"input": given, "output": None}, "3.1": {"input": given}}}
    shown = document(contract, "3")["components"]["schemas"]
    assert shown["ServiceInput"] == given
    assert shown["ServiceOutput"] == {"type": "object", "example": {}}
    with pytest.raises(VersionError) as caught:
        document(contract, "2.0")
    assert str(caught.value) == "Swagger version [2.0] is not supported for the scoring script. Supported swagger versions: [3, 3.1]."


def test_unknown_versions_are_refused_in_the_real_servers_words() -> None:
    with pytest.raises(VersionError, match=r"^Swagger version \[9\] is not valid\. Supported versions: \[2, 3, 3\.1\]\.$"):
        document(UNDECLARED, "9")
    assert document(FULL, "2.0") == document(FULL) != document(FULL, "3.0") == document(FULL, "3")


def test_keys_prefix_and_address_show() -> None:
    plain, keyed = document(FULL, "3.1"), document(FULL, "3.1", Service(prefix="/p/", keys=True, url="https://h/p"))
    assert "401" not in json.dumps(plain)
    assert "securitySchemes" not in plain["components"]
    assert keyed["servers"] == [{"url": "https://h"}]
    assert all(path.startswith("/p/") for path in keyed["paths"])
    open_to_all = {path for path, methods in keyed["paths"].items() if "401" not in next(iter(methods.values()))["responses"]}
    assert open_to_all == {"/p/", "/p/livez", "/p/readyz", "/p/v2/health/live", "/p/v2/health/ready", "/p/ping"}
    assert "host" not in document(FULL, "2")
    assert document(FULL, "2", Service(url="http://h:1/p"))["host"] == "h:1"


def test_every_code_a_client_can_meet_is_listed() -> None:
    answers = document(FULL, "3.1", Service(keys=True))["paths"]["/score"]["post"]["responses"]
    assert sorted(answers) == ["200", "400", "401", "408", "413", "415", "429", "431", "500", "503", "default"]


def test_other_dialects_only_where_they_are_spoken() -> None:
    assert "/v2/models/ridge/versions/3/infer" in document(FULL, "3.1")["paths"]
    assert "/invocations" in document(FULL, "3.1")["paths"]
    for contract, asked in ((FULL, "3"), (UNDECLARED, "3.1")):
        assert not [path for path in document(contract, asked)["paths"] if "v2" in path or "invocations" in path]


def test_bare_list_samples_are_shown_under_their_name() -> None:
    assert document(typed(FIELDS["tensor"], sample=[[4, 5, 6]]), "3")["components"]["schemas"]["ServiceInput"]["example"] == {"data": [[4, 5, 6]]}
    assert json.loads(text(FULL)) == document(FULL)


VALUES: list[Any] = [
    [[1, 2, 3]], [[1, 2]], [], [[]], [1], 1, None, "a", [None], [1, None], [300], [True], [[True, False]], [[True], [None]], [["a", 1], [2, {}]], {},
    [{"age": 3, "sex": "f", "on": "2026-01-01T00:00:00Z"}], [{"age": -1, "sex": None, "on": "2026-01-01T00:00:00Z"}],
    [{"age": 3, "sex": None, "on": "2026-01-01T00:00:00Z", "x": 1}], [[3, "m", "2026-01-01T00:00:00Z"]], [["m", 3, "2026-01-01T00:00:00Z"]],
    {"columns": ["b", "a"], "data": [[1, 2.5]]}, {"columns": ["b"], "data": [[1]]}, {"columns": ["a", "b"], "data": [[1, "x"]]},
    [{"a": 1, "b": 2}], [{"a": 1}], [[1e39, 0, 0]], [[1, 2, 3], [4, 5]], {"a": 1}, {"a": None}, {"a": 0}, {"a": 2**31}, {"a": 1, "z": True}, {"a": 1, "z": 1},
    {"a": 1, "b": [5]}, {"a": 1, "b": [6]}, {"a": 1, "b": "s"}, {"a": 1, "d": 3.5}, {"a": 1, "d": None}, {"a": 1, "e": None}, {"a": 1, "f": None},
    {"a": 1, "f": "y"}, {"a": 1, "g": "2026-01-01"}, {"a": 1.5},
]  # fmt: skip


INEXPRESSIBLE: list[Any] = [("object", [[1, 2, 3], [4, 5]]), ("object", [["a", 1], [2, {}], [3]]), ("odd", {"a": 1, "g": "2026-01-01"})]
"""Ragged rows, and formats, which jsonschema leaves alone: the document allows them, the check does not."""


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "any"])
def test_the_3_1_document_says_what_the_check_does(name: str) -> None:
    """jsonschema and our check agree, so a client that follows the document is never refused, nor surprised."""
    validator = Draft202012Validator(FIELDS[name].json_schema("3.1"))
    for value in VALUES:
        if (name, value) not in INEXPRESSIBLE:
            assert validator.is_valid(value) == fits(FIELDS[name], value), value


def fits(field: Field, value: Any) -> bool:
    try:
        check(field, value)
    except Mismatch:
        return False
    return True

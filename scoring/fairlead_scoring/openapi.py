"""The service's own description as Swagger 2.0, OpenAPI 3.0 and OpenAPI 3.1, from what the worker declared.

Paths, operation ids and definitions are those of azureml-inference-server-http, so that generated clients keep working;
the codes a client can meet are added. Routes that only Fairlead has are in the 3.1 document alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import urlsplit

from fairlead_scoring.openapi_routes import dialect_paths
from fairlead_scoring.schema import Field

SWAGGER_2 = "2.0"
OPENAPI_30 = "3.0"
OPENAPI_31 = "3.1"

_ASKED = {"2": SWAGGER_2, "2.0": SWAGGER_2, "3": OPENAPI_30, "3.0": OPENAPI_30, "3.1": OPENAPI_31}
_SHOWN = {SWAGGER_2: "2", OPENAPI_30: "3", OPENAPI_31: "3.1"}

_FAILURES = {
    "400": "The request is not one this service can score: the message says where it differs from what is declared.",
    "401": "No key, or one that is not this service's.",
    "408": "The request did not arrive in time.",
    "413": "The body is larger than this service accepts.",
    "415": "The content type or content encoding is not one this service reads.",
    "429": "Too many requests are waiting; Retry-After says when to come back.",
    "431": "The headers, or a request id, are too long.",
    "500": "The scoring script failed, or took longer than its deadline.",
    "503": "Nobody is ready to score yet, or not in time; Retry-After says when to come back.",
}
_DEFAULT = "The service failed to execute due to an error."
_OPEN_CODES = ("400", "408", "431")  # what the connection itself can be answered with, before any route


class VersionError(LookupError):
    """The document version asked for does not exist here: a 404, in the real server's words."""


@dataclass(frozen=True)
class Service:
    """What the front knows of the service it describes. prefix: moves every route. keys: a Bearer key is required. url: where clients reach it."""

    name: str = "ML service"
    version: str = "1.0"
    prefix: str = ""
    keys: bool = False
    url: Optional[str] = None


def document(contract: Dict[str, Any], asked: str = "2", service: Service = Service()) -> Dict[str, Any]:
    """The document in the version asked for ("2", "2.0", "3", "3.0" or "3.1"). Raises VersionError."""
    supported = [version for version in (SWAGGER_2, OPENAPI_30, OPENAPI_31) if _fragments(contract, version) is not None]
    listed = ", ".join(_SHOWN[version] for version in supported)
    if asked not in _ASKED:
        raise VersionError(f"Swagger version [{asked}] is not valid. Supported versions: [{listed}].")
    version = _ASKED[asked]
    fragments = _fragments(contract, version)
    if fragments is None:
        message = "Swagger version [{}] is not supported for the scoring script. Supported swagger versions: [{}]."
        raise VersionError(message.format(asked, listed))
    schemas = dict(zip(("ServiceInput", "ServiceOutput"), fragments), ErrorResponse=_ERROR)
    pages = _Pages(version, contract, service)
    return pages.swagger_2(schemas) if version == SWAGGER_2 else pages.openapi_3(schemas)


_ERROR = {
    "type": "object",
    "properties": {
        "message": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": {"type": "string"}, "expected": {"type": "string"}, "got": {"type": "string"}}},
        },
    },
}


def _fragments(contract: Dict[str, Any], version: str) -> Optional[Tuple[Any, Any]]:
    """ServiceInput and ServiceOutput; None where the script's own decorators cannot say it in this version."""
    own = contract.get("swagger")
    if own:
        said = {_ASKED[key]: parts for key, parts in own.items() if key in _ASKED}.get(version)
        return None if said is None else (said.get("input") or _undeclared(), said.get("output") or _undeclared())
    if not contract.get("inputs"):
        return _undeclared(), _output(contract, version) if contract.get("output") else _undeclared()
    return _input(contract, version), _output(contract, version)


def _undeclared() -> Dict[str, Any]:
    return {"type": "object", "example": {}}


def _input(contract: Dict[str, Any], version: str) -> Dict[str, Any]:
    fields = [Field.from_json(each) for each in contract["inputs"]]
    properties = {each.name: each.json_schema(version) for each in fields}
    out: Dict[str, Any] = {"type": "object", "properties": properties}
    if contract.get("kind") == "typed":  # decorated scripts ignore what they do not know, as on the Azure server
        out["additionalProperties"] = False
    required = [each.name for each in fields if each.required]
    if required:
        out["required"] = required
    sample = contract.get("sample")
    if isinstance(sample, list):
        sample = {fields[0].name: sample}
    if sample is None:
        sample = {each.name: each.example for each in fields if each.example is not None}
    out["example"] = sample
    return out


def _output(contract: Dict[str, Any], version: str) -> Dict[str, Any]:
    return Field.from_json(contract["output"]).json_schema(version) if contract.get("output") else {}


class _Pages:
    """One version of the document: how it refers, carries content and lists answers."""

    def __init__(self, version: str, contract: Dict[str, Any], service: Service) -> None:
        self._two = version == SWAGGER_2
        self._version = version
        self._contract = contract
        self._service = service
        self._prefix = "/" + service.prefix.strip("/") if service.prefix.strip("/") else ""
        self._declared = bool(contract.get("swagger") or contract.get("inputs"))

    def swagger_2(self, schemas: Dict[str, Any]) -> Dict[str, Any]:
        out: Dict[str, Any] = {"swagger": "2.0", "info": self._info(), "schemes": ["https"]}
        if self._service.url:
            address = urlsplit(self._service.url)
            out.update(schemes=[address.scheme], host=address.netloc)
        out.update(consumes=["application/json"], produces=["application/json"])
        if self._service.keys:
            out["securityDefinitions"] = {"Bearer": _BEARER}
        out.update(paths=self._paths(), definitions=schemas)
        return out

    def openapi_3(self, schemas: Dict[str, Any]) -> Dict[str, Any]:
        out: Dict[str, Any] = {"openapi": "3.0.3" if self._version == OPENAPI_30 else "3.1.0", "info": self._info()}
        if self._service.url:
            address = urlsplit(self._service.url)
            out["servers"] = [{"url": f"{address.scheme}://{address.netloc}"}]
        out["paths"] = self._paths()
        out["components"] = {"schemas": schemas}
        if self._service.keys:
            out["components"]["securitySchemes"] = {"Bearer": _BEARER}
        return out

    def _info(self) -> Dict[str, str]:
        about = f"API specification for the Azure Machine Learning service {self._service.name}"
        return {"title": self._service.name, "description": about, "version": self._service.version}

    def _paths(self) -> Dict[str, Any]:
        score = {"post": self._post_score()}
        if not self._two and "GET" in self._contract.get("methods", ()):
            score["get"] = self._get_score()
        paths = {"/": {"get": self._health()}, "/score": score, "/swagger.json": {"get": self._get_swagger()}}
        if self._version == OPENAPI_31:
            for path, operations in dialect_paths(self._contract).items():
                paths[path] = {method: self._completed(operation) for method, operation in operations.items()}
        return {self._prefix + path: operations for path, operations in paths.items()}

    def _post_score(self) -> Dict[str, Any]:
        out: Dict[str, Any] = {"operationId": "RunMLService", "description": "Run web service's model and get the prediction output"}
        about = "The input payload for executing the real-time machine learning service."
        body: Dict[str, Any] = {"schema": self._reference("ServiceInput")}
        if self._two:
            parameter = {"name": "serviceInputPayload", "in": "body", "description": about}
            out["parameters"] = [dict(parameter, required=True, **body) if self._declared else dict(parameter, **body)]
        else:
            out["requestBody"] = {"description": about, "content": {"application/json": body}, "required": self._declared}
        return self._secured(dict(out, responses=self._scored()))

    def _get_score(self) -> Dict[str, Any]:
        about = "The same with arguments from the query: each value is read as JSON, and as text where it is none."
        fields = [Field.from_json(each) for each in self._contract.get("inputs") or ()]
        parameters: List[Dict[str, Any]] = [
            {"name": each.name, "in": "query", "required": each.required, "content": {"application/json": {"schema": each.json_schema(self._version)}}}
            for each in fields
        ]
        out: Dict[str, Any] = {"operationId": "RunMLServiceFromQuery", "description": about}
        if parameters:
            out["parameters"] = parameters
        return self._secured(dict(out, responses=self._scored()))

    def _scored(self) -> Dict[str, Any]:
        about = "The service processed the input correctly and provided a result prediction, if applicable."
        good = self._carrying(about, self._reference("ServiceOutput"))
        if not self._two and not self._declared:
            good["content"]["*/*"] = {}  # an undeclared script may answer with any type, or stream
        return self._answers(good, ("408", "413", "415", "429", "500", "503"))

    def _health(self) -> Dict[str, Any]:
        about = "Simple health check endpoint to ensure the service is up at any given point."
        good: Dict[str, Any] = {"description": "If service is up and running, this response will be returned with the content 'Healthy'"}
        if self._two:
            good.update(schema={"type": "string"}, examples={"application/json": "Healthy"})
        else:
            text = {"schema": {"type": "string", "example": "Healthy"}}
            good["content"] = {"text/html": text, "text/plain": text}
        return {"operationId": "ServiceHealthCheck", "description": about, "responses": self._answers(good, ("503",), keys=False)}

    def _get_swagger(self) -> Dict[str, Any]:
        kind = {"type": "string", "enum": list(_ASKED)}
        parameter: Dict[str, Any] = {"name": "version", "in": "query", "required": False}
        parameter.update(kind if self._two else {"schema": kind})
        good = self._carrying("The Swagger specification.", {"type": "object"})
        answers = self._answers(good, ())
        answers["404"] = self._carrying("The service cannot be described in this version.", self._reference("ErrorResponse"))
        out = {"operationId": "GetSwaggerSpec", "description": "Get the Swagger specification.", "parameters": [parameter]}
        return self._secured(dict(out, responses=answers))

    def _completed(self, operation: Dict[str, Any]) -> Dict[str, Any]:
        """An operation of another dialect, with the answers that every route can give."""
        error = operation.pop("x-error")
        health = operation.pop("x-health", False)
        own = operation.pop("responses")
        codes = ("503",) if health else ("413", "415", "429", "500", "503")
        answers = self._answers(own.pop("200"), codes, keys=not health)
        for code in answers:
            if code != "200":
                answers[code] = {"description": answers[code]["description"], "content": {"application/json": {"schema": error}}}
        answers.update(own)
        out = dict(operation, responses=answers)
        return out if health else self._secured(out)

    def _answers(self, good: Dict[str, Any], codes: Tuple[str, ...], keys: bool = True) -> Dict[str, Any]:
        failing = sorted({*codes, *_OPEN_CODES, *(["401"] if keys and self._service.keys else [])})
        out = {"200": good}
        for code in failing:
            out[code] = self._carrying(_FAILURES[code], self._reference("ErrorResponse"))
        out["default"] = self._carrying(_DEFAULT, self._reference("ErrorResponse"))
        return out

    def _carrying(self, about: str, schema: Dict[str, Any]) -> Dict[str, Any]:
        return {"description": about, "schema": schema} if self._two else {"description": about, "content": {"application/json": {"schema": schema}}}

    def _reference(self, name: str) -> Dict[str, Any]:
        return {"$ref": ("#/definitions/" if self._two else "#/components/schemas/") + name}

    def _secured(self, operation: Dict[str, Any]) -> Dict[str, Any]:
        return dict(operation, security=[{"Bearer": []}]) if self._service.keys else operation


_BEARER = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "For example: Bearer abc123"}


def text(contract: Dict[str, Any], asked: str = "2", service: Service = Service()) -> bytes:
    """The document as bytes to send."""
    return json.dumps(document(contract, asked, service)).encode("ascii")

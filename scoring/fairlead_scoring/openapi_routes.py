"""Routes beside /score as OpenAPI 3.1 shows them: probes, Open Inference Protocol v2, MLflow's and SageMaker's /invocations."""

from __future__ import annotations

from typing import Any, Dict

Operation = Dict[str, Any]

_MESSAGE = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
_V2_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_CODED = {"type": "object", "properties": {"message": {"type": "string"}, "error_code": {"type": "string"}}, "required": ["message"]}

_DATATYPES = ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"]
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string", "enum": _DATATYPES},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}},
    },
    "required": ["name", "shape", "datatype"],
}
_ASKED = {"type": "object", "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}}, "required": ["name"]}
_INFER = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
        "outputs": {"type": "array", "items": _ASKED},
    },
    "required": ["inputs"],
}
_INFERRED = {
    "type": "object",
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "outputs": {"type": "array", "items": _TENSOR},
    },
    "required": ["model_name", "outputs"],
}
_ROWS = {"type": "array", "items": {"type": "object"}}
_SPLIT = {"type": "object", "properties": {"columns": {"type": "array", "items": {}}, "data": {"type": "array", "items": {}}}, "required": ["data"]}
_INVOCATION = {
    "anyOf": [
        {"type": "object", "properties": {"dataframe_split": _SPLIT}, "required": ["dataframe_split"]},
        {"type": "object", "properties": {"dataframe_records": _ROWS}, "required": ["dataframe_records"]},
        {"type": "object", "properties": {"instances": {}}, "required": ["instances"]},
        {"type": "object", "properties": {"inputs": {}}, "required": ["inputs"]},
    ]
}


def dialect_paths(contract: dict[str, Any]) -> dict[str, dict[str, Operation]]:
    """Path -> method -> operation, without the answers every route can give; `x-error` is the shape of this dialect's errors."""
    paths = _probes()
    dialects = contract.get("dialects", ())
    if "v2" in dialects:
        model = contract.get("model") or {}
        paths.update(_v2(str(model.get("name", "model")), model.get("version")))
    if "invocations" in dialects:
        paths["/ping"] = {"get": _probe("Ping", "Whether the service can score, as SageMaker asks.")}
        paths["/invocations"] = {"post": _invocations()}
    return paths


def _probes() -> dict[str, dict[str, Operation]]:
    return {
        "/livez": {"get": _probe("GetLiveness", "Whether the service's process answers at all.")},
        "/readyz": {"get": _probe("GetReadiness", "Whether a request sent now would be scored.")},
    }


def _probe(name: str, about: str, error: dict[str, Any] | None = None) -> Operation:
    answer = {"description": "Yes.", "content": {"*/*": {}}}
    return {"operationId": name, "description": about, "responses": {"200": answer}, "x-error": error or _MESSAGE, "x-health": True}


def _v2(name: str, version: Any) -> dict[str, dict[str, Operation]]:
    paths = {
        "/v2": {"get": _v2_get("V2ServerMetadata", "Name, version and extensions of the server.")},
        "/v2/health/live": {"get": _probe("V2ServerLive", "Whether the server answers at all.", _V2_ERROR)},
        "/v2/health/ready": {"get": _probe("V2ServerReady", "Whether every model can score.", _V2_ERROR)},
    }
    versions: list[str] = [""] if version is None else ["", f"/versions/{version}"]
    for place in versions:
        model = f"/v2/models/{name}{place}"
        suffix = "Version" if place else ""
        paths[model] = {"get": _v2_get("V2ModelMetadata" + suffix, "Inputs and outputs of the model.")}
        paths[model + "/ready"] = {"get": _v2_get("V2ModelReady" + suffix, "Whether the model can score.", {"*/*": {}})}
        paths[model + "/infer"] = {"post": _infer("V2ModelInfer" + suffix)}
    return paths


def _v2_get(name: str, about: str, content: dict[str, Any] | None = None) -> Operation:
    good = {"description": about, "content": content or {"application/json": {"schema": {"type": "object"}}}}
    return {"operationId": name, "description": about, "responses": {"200": good}, "x-error": _V2_ERROR}


def _infer(name: str) -> Operation:
    about = "Score tensors. Binary tensor data may follow the JSON head, as Inference-Header-Content-Length says."
    good = {"description": "The output tensors.", "content": {"application/json": {"schema": _INFERRED}, "application/octet-stream": {}}}
    body = {"required": True, "content": {"application/json": {"schema": _INFER}}}
    return {"operationId": name, "description": about, "requestBody": body, "responses": {"200": good}, "x-error": _V2_ERROR}


def _invocations() -> Operation:
    body = {"required": True, "content": {"application/json": {"schema": _INVOCATION}, "text/csv": {"schema": {"type": "string"}}}}
    good = {"description": "The predictions.", "content": {"application/json": {"schema": {}}, "text/csv": {"schema": {"type": "string"}}}}
    about = "Score a frame or a tensor as MLflow and SageMaker clients send it."
    return {"operationId": "Invocations", "description": about, "requestBody": body, "responses": {"200": good}, "x-error": _CODED}

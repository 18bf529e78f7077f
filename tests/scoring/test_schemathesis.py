"""S1: generated requests against the served OpenAPI 3.1 document. No 5xx, and no answer that the document does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.live import Launcher, Service

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 40
LONGER = 10  # times, under --long
V2 = "/v2/models/score"
OPERATIONS = [
    ("POST", "/score"),
    ("GET", "/score"),
    ("POST", "/invocations"),
    *(("POST", f"{V2}{version}/infer") for version in ("", "/versions/1.0")),
    *(("GET", f"{V2}{version}{what}") for version in ("", "/versions/1.0") for what in ("", "/ready")),
    *(("GET", path) for path in ("/", "/livez", "/readyz", "/ping", "/swagger.json", "/v2", "/v2/health/live", "/v2/health/ready")),
]
EXACT = {("POST", "/score"), ("GET", "/swagger.json")}  # where the document says all there is to say about what is taken

SCORE = """
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value


def init():
    pass


def describe():
    columns = (Column("n", "int8", minimum=0), Column("x", "float64", nullable=True), Column("c", "str", categories=("a", "b")), Column("on", "bool"))
    table, tensor = Table(columns), Tensor("float32", (-1, 3))
    method = Value({"type": "string", "enum": ["count", "mean"]})
    options = Value({"type": "object", "properties": {"k": {"type": "integer"}}, "additionalProperties": False})
    inputs = (
        Field("rows", table, example=[{"n": 1, "x": None, "c": "a", "on": True}]),
        Field("points", tensor, required=False),
        Field("method", method, required=False, default="count"),
        Field("options", options, required=False),
    )
    output = Field("output", Value({"type": "object", "properties": {name: {"type": "array", "items": {"type": "number"}} for name in ("count", "mean")}}))
    return Signature(inputs, output).to_json()


def run(rows, points=None, method="count", options=None):
    assert str(rows["n"].dtype) == "int8"
    return {method: [1.0] * len(rows)}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    launcher = Launcher(tmp_path_factory.mktemp("services"))
    script = launcher.folder / "score.py"
    script.write_text(SCORE)
    try:
        yield launcher("--entry-script", script)
    finally:
        launcher.end()


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_documented(document: Any, method: str, path: str, long: bool) -> None:
    @given(case=document[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    @settings(max_examples=EXAMPLES * (LONGER if long else 1), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        exact = (method, path) in EXACT and not _is_split(case.body)
        case.call_and_validate(checks=[*CHECKS, *([positive_data_acceptance] if exact else [])])

    ask()


@pytest.mark.parametrize(("method", "path"), [each for each in OPERATIONS if each[0] == "POST" or each in EXACT])
def test_a_request_that_is_wrong_is_refused_as_documented(document: Any, method: str, path: str, long: bool) -> None:
    @given(case=document[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    @settings(max_examples=EXAMPLES * (LONGER if long else 1), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        case.call_and_validate(checks=[*CHECKS, *([negative_data_rejection] if (method, path) in EXACT else [])])

    ask()


def _is_split(body: Any) -> bool:
    """{"columns", "data"} takes columns in any order, so that a document cannot say which cell is of which type."""
    return isinstance(body, dict) and isinstance(body.get("rows"), dict)


def test_no_operation_of_the_document_is_left_out(document: Any) -> None:
    found = {(each.ok().method.upper(), each.ok().path) for each in document.get_all_operations()}
    assert found == set(OPERATIONS)

"""Generated requests against the served OpenAPI document: no 5xx, and no answer that the document does not know, on both databases.

The server may not reach any package index. Half of the requests name something that is there.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from fairlead.client import access
from fairlead.schemas.access import MemberChange, NewWorkspace
from tests.control_plane import ControlPlane, ControlPlanes
from tests.fairlead.server.access_table import Operation, operations
from tests.postgresql import PostgreSQL

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = {GenerationMode.POSITIVE: 10, GenerationMode.NEGATIVE: 6}
KINDS = [("sqlite", GenerationMode.POSITIVE), ("postgresql", GenerationMode.POSITIVE), ("sqlite", GenerationMode.NEGATIVE)]
"""What is wrong in itself is refused before the database sees it, so one database is enough for it."""
LONGEST_ADDRESS = 30_000  # uvicorn itself refuses more than 64 KiB of head, in its own words
LONGER = 20  # times, under --long
DESTROYS = {"DELETE /v1/workspaces/{workspace}"}  # asked of a workspace that is not there


class Subject:
    """A server of its own, its document, and names of what is in it."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.workspace = f"fuzz-{uuid.uuid4().hex[:8]}"
        self.headers = {"authorization": f"Bearer {plane.token}"}
        self.document: Any = schemathesis.openapi.from_url(f"{plane.url}/v1/openapi.json")
        self.known = self._furnish()

    def _furnish(self) -> dict[str, list[str]]:
        """What a path's parameters can name."""
        with self.plane.transport(workspace=self.workspace) as owner:
            access.create_workspace(owner, NewWorkspace(name=self.workspace))
            access.set_secret(owner, "known", "x")
            access.set_member(owner, "known", MemberChange(role="reader"))
        return {"name": ["known"], "principal": ["known"], "version": ["1", "latest"], "alias": ["known"]}

    def takes_anything(self, operation: Operation) -> bool:
        said = self.document.raw_schema["paths"][operation.documented][operation.method.lower()]
        return bool(said.get("parameters") or said.get("requestBody"))

    def aim(self, case: Any, operation: Operation, dice: random.Random) -> None:
        parameters = case.path_parameters or {}
        for name in parameters.keys() & self.known.keys():
            if dice.random() < 0.5:
                parameters[name] = dice.choice(self.known[name])
        if "workspace" in parameters and str(operation) not in DESTROYS:
            parameters["workspace"] = self.workspace


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    url = None
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.database()
    started = ControlPlanes(tmp_path_factory.mktemp("fuzz"))
    try:
        yield Subject(started(database_url=url, env={"UV_OFFLINE": "1"}))
    finally:
        started.end()


@pytest.mark.parametrize(("subject", "mode"), [pytest.param(*each, id=f"{each[0]}-{each[1].value}") for each in KINDS], indirect=["subject"], scope="module")
@pytest.mark.parametrize("operation", [each for each in operations() if each.route.include_in_schema], ids=str)
def test_every_answer_is_documented_and_none_is_a_fault_of_the_server(subject: Subject, operation: Operation, mode: GenerationMode, long: bool) -> None:
    strategy = subject.document[operation.documented][operation.method].as_strategy(generation_mode=mode)

    @given(case=strategy)
    @settings(max_examples=EXAMPLES[mode] * (LONGER if long else 1), deadline=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        subject.aim(case, operation, random.Random(repr(case.body)))
        assume(len(urlencode(case.query or {}, doseq=True)) < LONGEST_ADDRESS)
        case.call_and_validate(checks=CHECKS, headers={**(case.headers or {}), **subject.headers})

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "only a route that takes nothing takes nothing wrong"
        assert not subject.takes_anything(operation)

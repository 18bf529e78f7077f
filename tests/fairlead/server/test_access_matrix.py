"""S4: every route, asked by every kind of caller. What is expected is derived from the route's declared need alone.

The application is the server's own, on a database of its own, but for what is behind the door: there each call is counted and answered 299. So a
caller who may not is seen to get no further, whatever the routes' functions do, and a caller who may is seen to get in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from fairlead.schemas.wire import ROLES as WIRE_ROLES
from fairlead.server import app
from fairlead.server.access import new_token
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.door import Door
from fairlead.server.ids import new_id
from fairlead.server.opening import open_context
from fairlead.server.settings import Settings
from fairlead.server.tables.access import MembershipRow, PrincipalRow, TokenRow, WorkspaceRow
from tests.fairlead.server.access_table import CALLERS, DISGUISED, OPEN, OUTSIDERS, REMOVED, ROLES, STRANGERS, Operation, expected, operations
from tests.postgresql import PostgreSQL

HERE, ELSEWHERE = "matrix-here", "matrix-elsewhere"
REACHED = 299


@dataclass
class Stage:
    """The server's application with nothing behind its door, and a token of every kind."""

    application: FastAPI
    headers: dict[str, dict[str, str]]
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    entered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        transport = httpx2.ASGITransport(self.application, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://matrix")

    def ask(self, operation: Operation, caller: str, workspace: str = HERE, body: bytes = b"{") -> tuple[int, dict[str, Any], list[str]]:
        """Status, problem, and which routes were reached; the body is no JSON, which a refused caller must not find out."""
        self.entered.clear()
        headers = self.headers[caller] | {"content-type": "application/json", "x-request-id": "matrix"}
        asking = self.client.request(operation.method, operation.address(workspace=workspace), headers=headers, content=body)
        answer = self.runner.run(asking)
        return answer.status_code, _told(answer), list(self.entered)


def _told(answer: httpx2.Response) -> dict[str, Any]:
    """The problem, also of routes that say it in the seeds' own words."""
    kind = answer.headers.get("content-type")
    if kind == "application/json" and "error" in answer.json():
        (detail,) = answer.json()["error"]["details"]
        return {"detail": detail["message"], "status": answer.status_code, "request_id": answer.headers["x-request-id"]}
    return answer.json() if kind == "application/problem+json" else {}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("matrix")
    url = f"sqlite:///{folder / 'matrix.db'}"
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.database()
    settings = Settings(state_dir=folder, cache_dir=folder / "cache", database_url=url)
    context = open_context(settings)
    try:
        made = app.create(context)
        stage = Stage(made, _callers(context.database))
        _count_behind(_door_of(made), stage)
        with stage.runner:
            yield stage
    finally:
        context.database.close()
        context.node.close()


def _door_of(made: FastAPI) -> Door:
    layer: Any = made.build_middleware_stack()
    made.middleware_stack = layer
    while not isinstance(layer, Door):
        layer = getattr(layer, "app", None) or layer._app
    return layer


def _count_behind(door: Door, stage: Stage) -> None:
    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        found = door._find(scope)
        assert found is not None
        stage.entered.append(f"{scope['method']} {found.route.path}")
        await send({"type": "http.response.start", "status": REACHED, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door._app = counting


def _callers(database: Database) -> dict[str, dict[str, str]]:
    """Headers of each kind of caller."""
    made = {"no token": {}, "no bearer": {"authorization": "Basic Zmw6Zmw="}}
    made |= {"malformed": bearer("not ours"), "unknown": bearer("fl_" + "x" * 43)}
    with database.writing() as session:
        here, elsewhere = (_workspace(session, name) for name in (HERE, ELSEWHERE))
        admin = session.query(PrincipalRow).filter(PrincipalRow.is_admin).one()
        for role in ROLES:
            made[role] = _member(session, role, role, here)
            made[f"{role} of another workspace"] = _member(session, f"other-{role}", role, elsewhere)
        made["expired"] = _member(session, "expired", "owner", here, expires_at=now() - timedelta(seconds=1))
        made["revoked"] = _member(session, "revoked", "owner", here, revoked_at=now())
        made[REMOVED] = _member(session, "removed", None, here)
        made[DISGUISED] = _token(session, admin, workspace_id=elsewhere.id)
        made["admin"] = _token(session, admin)
    return made


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _workspace(session: Any, name: str) -> WorkspaceRow:
    row = WorkspaceRow(id=new_id(), name=name, created_at=now(), updated_at=now())
    session.add(row)
    session.flush()
    return row


def _member(session: Any, name: str, role: str | None, workspace: WorkspaceRow, **token: Any) -> dict[str, str]:
    row = PrincipalRow(id=new_id(), name=name, kind="program", created_at=now())
    session.add(row)
    session.flush()
    if role is not None:
        session.add(MembershipRow(workspace_id=workspace.id, principal_id=row.id, role=role))
    return _token(session, row, **token)


def _token(session: Any, principal: PrincipalRow, **what: Any) -> dict[str, str]:
    token, kept = new_token()
    session.add(TokenRow(id=new_id(), principal_id=principal.id, name="t", hash=kept, created_at=now(), last_used_at=now(), **what))
    return bearer(token)


@pytest.mark.parametrize("operation", operations(), ids=str)
def test_each_route_lets_in_whom_it_declares_and_nobody_else(stage: Stage, operation: Operation) -> None:
    for caller in CALLERS:
        status, told, entered = stage.ask(operation, caller)
        refused = expected(operation.need, caller)
        assert (status, entered) == (refused or REACHED, [] if refused else [str(operation)]), f"{caller}: {told.get('detail')}"
        assert not refused or (told["status"], told["request_id"]) == (refused, "matrix")


@pytest.mark.parametrize("operation", [each for each in operations() if "workspace" in each.parameters], ids=str)
def test_a_workspace_of_others_is_as_if_it_were_not(stage: Stage, operation: Operation) -> None:
    for caller in (*OUTSIDERS, DISGUISED, REMOVED):
        hidden = stage.ask(operation, caller, HERE)
        absent = stage.ask(operation, caller, "matrix-nowhere")
        assert (hidden[0], hidden[2]) == (absent[0], absent[2])
        assert (hidden[0], str(hidden[1]).replace(HERE, "W")) == (expected(operation.need, caller), str(absent[1]).replace("matrix-nowhere", "W"))


@pytest.mark.parametrize("operation", [each for each in operations() if each.need is not None], ids=str)
def test_a_stranger_is_told_the_same_whatever_there_is(stage: Stage, operation: Operation) -> None:
    for caller in STRANGERS:
        here, nowhere = (stage.ask(operation, caller, name) for name in (HERE, "matrix-nowhere"))
        assert (here[0], here[1]["detail"]) == (nowhere[0], nowhere[1]["detail"])


def test_a_route_without_a_declared_need_is_one_of_the_open_ones() -> None:
    assert {(each.method, each.path) for each in operations() if each.need is None} == OPEN


def test_the_door_knows_every_route_of_the_application(stage: Stage) -> None:
    """Whatever answers is in `app.routes()`, but for the framework's own OpenAPI document."""
    document = stage.application.openapi()["paths"]
    documented = {(method.upper(), path) for path, methods in document.items() for method in methods}
    assert documented == {(each.method, each.documented) for each in operations() if each.route.include_in_schema}
    plain = {getattr(each, "path", None) for each in stage.application.routes if type(each).__module__.startswith("starlette")}
    assert plain == {"/v1/openapi.json"}


def test_a_route_of_a_workspace_asks_for_a_role_in_it() -> None:
    for each in operations():
        assert (each.need in WIRE_ROLES) == ("workspace" in each.parameters) or (each.need == "admin" and "workspace" in each.parameters), str(each)

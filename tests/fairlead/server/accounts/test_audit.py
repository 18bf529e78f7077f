"""Who did what, when, from where: written with what was done, read newest first, filtered, never changed."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.errors import Forbidden, UsageError
from fairlead.schemas.access import MemberChange, WorkspaceChange
from tests.control_plane import ControlPlane
from tests.fairlead.server.accounts.people import speaking_as


def test_each_act_is_recorded_with_who_when_and_from_where(owner: Transport) -> None:
    me = access.show_me(owner)
    owner.request("PUT", owner.path("secrets", "key"), json={"value": "x"}, headers={"x-request-id": "act-1"})
    access.set_member(owner, "ann", MemberChange(role="reader"))
    access.remove_member(owner, "ann")
    with speaking_as(owner, "bo", "owner") as bo:
        access.change_workspace(bo, bo.workspace, WorkspaceChange(description="ours"))
    told = [(each.principal, each.action, each.kind, each.name) for each in access.list_audit(owner)]
    expected = [
        ("bo", "change", "workspace", owner.workspace),
        (me.principal, "create", "token", "bo's"),
        (me.principal, "set-role", "member", "bo"),
        (me.principal, "remove", "member", "ann"),
        (me.principal, "set-role", "member", "ann"),
        (me.principal, "create", "secret", "key"),
        (me.principal, "create", "workspace", owner.workspace),
    ]
    assert [each for each in told if each[2] != "principal"] == expected
    (event,) = access.list_audit(owner, request_id="act-1")
    assert (event.name, event.remote, event.workspace, event.details) == ("key", "127.0.0.1", owner.workspace, {})
    assert event.token_id is not None


def test_events_are_found_by_who_action_kind_object_and_time(owner: Transport) -> None:
    ids = [access.set_secret(owner, name, "x").id for name in ("a", "b", "c")]
    a, b, c = (next(iter(access.list_audit(owner, about=each))) for each in ids)
    with speaking_as(owner, "bo", "contributor") as bo:
        access.delete_secret(bo, "b")
    assert [each.action for each in access.list_audit(owner, who="bo")] == ["delete"]
    assert [each.action for each in access.list_audit(owner, about="b")] == ["delete", "create"]
    assert [each.name for each in access.list_audit(owner, kind="secret", action="create")] == ["c", "b", "a"]
    assert [each.name for each in access.list_audit(owner, kind="secret", since=b.at, until=c.at)] == ["b"]
    assert next(access.list_audit(owner, since=a.at + timedelta(days=1)), None) is None
    assert next(access.list_audit(owner, who="nobody"), None) is None


def test_pages_of_events_hold_every_one_once(owner: Transport) -> None:
    for number in range(7):
        access.set_secret(owner, f"s{number}", "x")
    seen: list[str] = []
    cursor = None
    while True:
        page = owner.request("GET", owner.path("audit"), params={"limit": 3, "kind": "secret", **({"after": cursor} if cursor else {})}).json()
        seen += [each["name"] for each in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"s{number}" for number in reversed(range(7))]


def test_an_administrator_reads_the_whole_log_and_an_owner_that_of_the_workspace(owner: Transport) -> None:
    with speaking_as(owner, "bo", "owner") as bo:
        assert {each.workspace for each in access.list_audit(bo)} == {owner.workspace}
        with pytest.raises(Forbidden):
            access.list_audit(bo, of_server=True).__next__()
    assert owner.workspace in {each.workspace for each in access.list_audit(owner, of_server=True, who=access.show_me(owner).principal)}


def test_what_was_refused_is_logged_and_not_recorded(shared_plane: ControlPlane, owner: Transport) -> None:
    with speaking_as(owner, "r", "reader") as reader:
        before = [each.id for each in access.list_audit(owner)]
        with pytest.raises(Forbidden):
            reader.request("PUT", reader.path("secrets", "k"), json={"value": "x"}, headers={"x-request-id": "refused-1"})
        shared_plane.request("GET", "/v1/me", token="fl_stranger", headers={"x-request-id": "refused-2"})
        assert [each.id for each in access.list_audit(owner)] == before
    log = shared_plane.log.read_text()
    told = {each.get("request_id"): each for each in map(json.loads, log.splitlines()) if each["message"].startswith("refused: ")}
    first, second = told["refused-1"], told["refused-2"]
    assert (first["status"], first["method"], first["path"]) == (403, "PUT", f"/v1/workspaces/{owner.workspace}/secrets/k")
    assert first["message"].startswith(f"refused: r is reader of the workspace '{owner.workspace}'")
    assert (second["status"], second["path"], second["remote"], second["level"]) == (401, "/v1/me", "127.0.0.1", "warning")
    assert "fl_stranger" not in log


@pytest.mark.parametrize("statement", ["UPDATE audit_events SET principal = 'nobody'", "DELETE FROM audit_events"])
def test_the_database_itself_refuses_to_change_the_log(shared_plane: ControlPlane, owner: Transport, statement: str) -> None:
    access.set_secret(owner, "key", "x")
    before = [each.model_dump() for each in access.list_audit(owner)]
    engine = create_engine(shared_plane.database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection, pytest.raises(DatabaseError, match="only"):
        connection.execute(text(statement))
    engine.dispose()
    assert [each.model_dump() for each in access.list_audit(owner)] == before


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"since": "9999-12-31T23:59:59-12:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"since": "1e400"},
        {"who": ""},
        {"who": "\0"},
        {"kind": "x" * 300},
        {"limit": "501"},
        {"after": "bm9uZQ"},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(owner: Transport, query: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        owner.request("GET", owner.path("audit"), params=query)

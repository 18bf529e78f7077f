"""Workspaces are made, changed and deleted; names are free again; who may not enter learns nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.errors import Changed, Conflict, Forbidden, InUse, NotFound, Unauthenticated, UsageError
from fairlead.schemas.access import NewWorkspace, WorkspaceChange
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.ids import new_id
from fairlead.server.tables.services import EndpointRow, ServiceRow
from tests.control_plane import ControlPlane
from tests.fairlead.server.accounts.people import speaking_as, token_for, with_token


def test_a_deleted_workspace_is_gone_and_its_name_free_again(owner: Transport) -> None:
    first = access.show_workspace(owner, owner.workspace)
    access.delete_workspace(owner, owner.workspace)
    with pytest.raises(NotFound, match="There is no workspace"):
        access.show_workspace(owner, owner.workspace)
    assert owner.workspace not in {each.name for each in access.list_workspaces(owner)}
    again = access.create_workspace(owner, NewWorkspace(name=owner.workspace))
    assert again.id != first.id
    assert [each.name for each in access.list_tokens(owner)] == []


def test_tokens_of_a_deleted_workspace_are_over_also_when_its_name_lives_again(owner: Transport) -> None:
    token = token_for(owner, "ci", "owner").token
    access.delete_workspace(owner, owner.workspace)
    access.create_workspace(owner, NewWorkspace(name=owner.workspace))
    with with_token(owner, token) as ci, pytest.raises(Unauthenticated, match="was revoked"):
        access.show_workspace(ci, owner.workspace)


def test_a_delete_of_what_has_changed_meanwhile_is_refused(owner: Transport) -> None:
    tag = owner.request("GET", owner.path()).headers["etag"]
    access.change_workspace(owner, owner.workspace, WorkspaceChange(description="new"))
    with pytest.raises(Changed):
        owner.request("DELETE", owner.path(), headers={"if-match": tag})
    assert access.show_workspace(owner, owner.workspace).description == "new"


def test_only_an_administrator_makes_workspaces_and_sets_quotas(owner: Transport) -> None:
    with speaking_as(owner, "boss", "owner") as boss:
        with pytest.raises(Forbidden, match="no administrator"):
            access.create_workspace(boss, NewWorkspace(name=f"{owner.workspace}-2"))
        with pytest.raises(Forbidden, match="quota"):
            access.change_workspace(boss, boss.workspace, WorkspaceChange(quota_bytes=1))
        assert access.change_workspace(boss, boss.workspace, WorkspaceChange(description="ours")).description == "ours"
    assert access.change_workspace(owner, owner.workspace, WorkspaceChange(quota_bytes=10)).quota_bytes == 10


def test_a_member_sees_the_workspaces_that_the_token_reaches(owner: Transport) -> None:
    with speaking_as(owner, "looker", "reader") as looker:
        assert [(each.name, each.role) for each in access.list_workspaces(looker)] == [(owner.workspace, "reader")]
        me = access.show_me(looker)
        assert (me.principal, me.kind, me.is_admin, me.workspaces, me.workspace) == ("looker", "program", False, {owner.workspace: "reader"}, owner.workspace)
        with pytest.raises(NotFound) as absent:
            access.show_workspace(looker, "never-was")
        with pytest.raises(NotFound) as hidden:
            access.show_workspace(looker, "default")
        assert str(absent.value).replace("never-was", "") == str(hidden.value).replace("default", "")


@pytest.mark.parametrize("name", ["Team", "a", "-a", "a-", "a_b", "ä1", "a" * 33])
def test_a_workspace_name_that_is_none_is_refused(owner: Transport, name: str) -> None:
    with pytest.raises(UsageError, match=r"body\.name"):
        owner.request("POST", "/v1/workspaces", json={"name": name})


def test_a_name_that_lives_is_taken(owner: Transport) -> None:
    with pytest.raises(Conflict, match="already"):
        access.create_workspace(owner, NewWorkspace(name=owner.workspace))


def test_a_workspace_in_which_services_live_is_not_deleted(control_plane: ControlPlane, database_url: str) -> None:
    with control_plane.transport(workspace="busy") as owner:
        made = access.create_workspace(owner, NewWorkspace(name="busy"))
        database = Database(database_url)
        with database.writing() as session:
            for name in ("churn", "risk", "spam", "tips"):
                _insert_service(session, made.id, name)
        with pytest.raises(InUse, match=r"'busy': churn, risk, spam, …\. Delete them first"):
            access.delete_workspace(owner, "busy")
        assert access.show_workspace(owner, "busy").id == made.id
        with database.writing() as session:
            session.execute(update(ServiceRow).values(deleted_at=now()))
        database.close()
        access.delete_workspace(owner, "busy")


def _insert_service(session: Session, workspace_id: str, name: str) -> None:
    """As a deploy on a machine that is away leaves it."""
    endpoint = EndpointRow(id=new_id(), workspace_id=workspace_id, host="127.0.0.1", auth="none", created_at=now())
    session.add(endpoint)
    session.flush()
    row = ServiceRow(id=new_id(), workspace_id=workspace_id, endpoint_id=endpoint.id, name=name, handle=f"fl-{name}", target="local", place="elsewhere")
    row.tags, row.properties, row.state, row.wanted_revision = {}, {}, "running", 1
    row.created_at = row.updated_at = now()
    session.add(row)

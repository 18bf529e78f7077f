"""Tokens are shown once, kept as hashes, listed with their use, revoked at once; none gives rights elsewhere."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import create_engine, text

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.errors import Conflict, Forbidden, NotFound, Unauthenticated, UsageError
from fairlead.schemas.access import NewServerToken, NewWorkspace, Token
from tests.control_plane import ControlPlane, ControlPlanes
from tests.fairlead.server.accounts.people import speaking_as, token_for, with_token
from tests.postgresql import PostgreSQL
from tests.waiting import until


def test_a_token_is_shown_once_and_listed_without_what_it_is(owner: Transport) -> None:
    made = token_for(owner, "ci", "contributor", seconds=3600)
    assert made.token.startswith("fl_")
    assert (made.workspace, made.last_used_at, made.revoked_at) == (owner.workspace, None, None)
    assert made.expires_at is not None
    assert 3500 < (made.expires_at - made.created_at).total_seconds() <= 3600
    with with_token(owner, made.token) as ci:
        assert access.show_me(ci).expires_at == made.expires_at
    (listed,) = access.list_tokens(owner)
    assert (listed.id, listed.principal, listed.name) == (made.id, "ci", "ci's")
    assert listed.last_used_at is not None
    assert made.token not in owner.request("GET", owner.path("tokens")).text
    assert made.token not in owner.request("GET", owner.path("audit")).text


def test_only_the_hash_is_kept(shared_plane: ControlPlane, owner: Transport) -> None:
    made = token_for(owner, "ci")
    engine = create_engine(shared_plane.database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT hash FROM tokens WHERE id = :id"), {"id": made.id}).scalar_one()
        everything = [str(connection.execute(text(f"SELECT * FROM {table}")).all()) for table in ("tokens", "audit_events", "idempotency_keys")]  # noqa: S608 - names of ours
    engine.dispose()
    assert kept == hashlib.sha256(made.token.encode()).hexdigest()
    assert not [each for each in everything if made.token in each]
    assert made.token not in shared_plane.log.read_text()


def test_a_revoked_token_ends_at_once_and_stays_listed(owner: Transport) -> None:
    made = token_for(owner, "ci", "owner")
    with with_token(owner, made.token) as ci:
        access.show_me(ci)
        first = access.revoke_token(owner, made.id)
        with pytest.raises(Unauthenticated, match="was revoked"):
            access.show_me(ci)
    assert first.revoked_at is not None
    assert access.revoke_token(owner, made.id).revoked_at == first.revoked_at, "again does nothing more"
    assert [each.id for each in access.list_tokens(owner, active=False)] == [made.id]
    assert list(access.list_tokens(owner, active=True)) == []


def test_an_expired_token_ends_by_itself(owner: Transport) -> None:
    made = token_for(owner, "ci", seconds=1)
    with with_token(owner, made.token) as ci:

        def refused() -> bool:
            return ci.http.get("/v1/me").status_code == 401

        until(refused, "the token to expire", timeout=20)
        with pytest.raises(Unauthenticated, match=r"expired at .* UTC"):
            access.show_me(ci)
    assert [each.id for each in access.list_tokens(owner, active=False, principal="ci")] == [made.id]


def test_a_member_keeps_their_role_unless_one_is_given(owner: Transport) -> None:
    me = access.show_me(owner).principal
    token_for(owner, me)
    token_for(owner, "new")
    token_for(owner, "new", "reader")
    token_for(owner, "new")
    assert {each.principal: each.role for each in access.list_members(owner)} == {me: "owner", "new": "reader"}


def test_a_token_in_the_name_of_an_administrator_reaches_one_workspace(owner: Transport) -> None:
    """An owner who makes a token for somebody mightier gains nothing elsewhere."""
    admin = access.show_me(owner).principal
    with speaking_as(owner, "sly", "owner") as sly, with_token(owner, token_for(sly, admin).token) as disguised:
        me = access.show_me(disguised)
        assert (me.principal, me.is_admin, me.workspaces) == (admin, False, {owner.workspace: "owner"})
        assert [each.name for each in access.list_workspaces(disguised)] == [owner.workspace]
        with pytest.raises(NotFound):
            access.show_workspace(disguised, "default")
        for forbidden in ("/v1/audit", "/v1/tokens"):
            with pytest.raises(Forbidden, match="one workspace only"):
                disguised.request("GET", forbidden)
        with pytest.raises(Forbidden):
            access.create_workspace(disguised, NewWorkspace(name=f"{owner.workspace}-2"))


def test_tokens_of_another_workspace_are_neither_listed_nor_revoked(owner: Transport) -> None:
    elsewhere = f"{owner.workspace}-b"
    access.create_workspace(owner, NewWorkspace(name=elsewhere))
    with Transport(owner.url, owner.http.headers["authorization"].split()[1], elsewhere) as other:
        theirs = token_for(other, "ci", "owner")
        ours = token_for(owner, "ci", "owner")
        assert [each.id for each in access.list_tokens(owner)] == [ours.id]
        with pytest.raises(NotFound) as hidden:
            access.revoke_token(owner, theirs.id)
        with pytest.raises(NotFound) as absent:
            access.revoke_token(owner, "never-was")
        assert str(hidden.value).replace(theirs.id, "") == str(absent.value).replace("never-was", "")
        with with_token(owner, theirs.token, elsewhere) as ci:
            assert access.show_me(ci).workspaces == {elsewhere: "owner"}


def test_an_administrator_makes_others_and_ends_them_but_never_the_last(local_plane: ControlPlane) -> None:
    with local_plane.transport() as first:
        (own,) = access.list_tokens(first, of_server=True)
        with pytest.raises(Conflict, match="nobody could administrate"):
            access.revoke_token(first, own.id, of_server=True)
        with pytest.raises(Conflict, match="last administrator"):
            access.create_server_token(first, NewServerToken(name="t", principal=own.principal, admin=False))
        made = access.create_server_token(first, NewServerToken(name="laptop", principal="ann", admin=True))
        with local_plane.transport(made.token) as ann:
            assert (access.show_me(ann).is_admin, access.show_me(ann).workspaces) == (True, {})
            access.revoke_token(ann, own.id, of_server=True)
            with pytest.raises(Unauthenticated):
                access.show_me(first)
            plain = access.create_server_token(ann, NewServerToken(name="bo's", principal="bo"))
        with local_plane.transport(plain.token) as bo, pytest.raises(Forbidden):
            access.list_tokens(bo, of_server=True).__next__()


def test_a_server_token_reaches_every_workspace_of_its_principal(owner: Transport) -> None:
    name = f"{owner.workspace}-ann"
    made = access.create_server_token(owner, NewServerToken(name="laptop", principal=name))
    with with_token(owner, made.token) as ann:
        with pytest.raises(NotFound):
            access.show_workspace(ann, owner.workspace)
        token_for(owner, name, "reader")
        assert access.show_me(ann).workspaces == {owner.workspace: "reader"}
        assert access.show_workspace(ann, owner.workspace).role == "reader"
    access.revoke_token(owner, made.id, of_server=True)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "t"},
        {"name": "", "principal": "a"},
        {"name": "t", "principal": "a b"},
        {"name": "t", "principal": "a", "role": "admin"},
        {"name": "t", "principal": "a", "expires_in_seconds": 0},
        {"name": "t", "principal": "a", "expires_in_seconds": 10**30},
        {"name": "t", "principal": "a", "expires_in_seconds": True},
        {"name": "t\0", "principal": "a"},
        {"name": "t", "principal": "a", "admin": True},
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(owner: Transport, body: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="body"):
        owner.request("POST", owner.path("tokens"), json=body)
    assert list(access.list_tokens(owner)) == []


def test_revoking_ends_a_token_on_every_server(control_planes: ControlPlanes, postgresql: PostgreSQL) -> None:
    database = postgresql.database()
    first = control_planes(database_url=database)
    second = control_planes(database_url=database)
    with first.transport() as owner:
        made = token_for(owner, "ci", "contributor")
        assert second.request("GET", "/v1/me", token=made.token).status_code == 200
        owner.send(Token, "DELETE", owner.path("tokens", made.id))
        until(lambda: second.request("GET", "/v1/me", token=made.token).status_code == 401, "the other server to refuse the token")
        assert first.request("GET", "/v1/me", token=made.token).status_code == 401

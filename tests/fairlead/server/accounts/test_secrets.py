"""Secrets go in and never come out through the API; at rest they are sealed, each under its own row."""

from __future__ import annotations

import pytest

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.errors import FairleadError, Forbidden, NotFound, UsageError
from fairlead.server.accounts.secrets import open_secrets
from fairlead.server.db import Database
from fairlead.server.sealing import Seal, load
from fairlead.server.settings import Settings
from fairlead.server.tables.access import SecretRow
from tests.control_plane import ControlPlane
from tests.fairlead.server.accounts.people import speaking_as

VALUE = "a-value-that-nobody-sees-again ä\n"


def test_secrets_are_set_changed_listed_and_deleted(owner: Transport) -> None:
    first = access.set_secret(owner, "db.password", "one")
    again = access.set_secret(owner, "db.password", "two")
    access.set_secret(owner, "api-key", "three")
    assert (first.id, first.created_at) == (again.id, again.created_at)
    assert again.updated_at > first.updated_at
    assert [each.name for each in access.list_secrets(owner)] == ["api-key", "db.password"]
    access.delete_secret(owner, "db.password")
    assert [each.name for each in access.list_secrets(owner)] == ["api-key"]
    with pytest.raises(NotFound, match=r"no secret 'db\.password'.*fairlead secret set"):
        access.delete_secret(owner, "db.password")


def test_a_reader_sees_names_and_a_contributor_sets_values(owner: Transport) -> None:
    with speaking_as(owner, "c", "contributor") as contributor, speaking_as(owner, "r", "reader") as reader:
        access.set_secret(contributor, "key", VALUE)
        assert [(each.name, each.created_by) for each in access.list_secrets(reader)] == [("key", "c")]
        with pytest.raises(Forbidden):
            access.set_secret(reader, "key", "mine")


def test_a_value_is_nowhere_but_in_its_file(shared_plane: ControlPlane, owner: Transport) -> None:
    answers = [access.set_secret(owner, "key", VALUE).model_dump_json()]
    answers += [owner.request("GET", path).text for path in (owner.path("secrets"), owner.path("audit"), "/v1/audit")]
    workspace_id = access.show_workspace(owner, owner.workspace).id
    told = VALUE[:20]
    assert not [each for each in answers if told in each]
    assert told not in shared_plane.log.read_text()
    database = Database(shared_plane.database_url)
    with database.writing() as session:
        row = session.query(SecretRow).filter_by(workspace_id=workspace_id).one()
        assert told.encode() not in row.sealed
        assert open_secrets(session, seal_of(shared_plane), workspace_id, ["key", "key"]) == {"key": VALUE.encode()}
        assert open_secrets(session, seal_of(shared_plane), workspace_id, []) == {}
        with pytest.raises(NotFound, match="'other', 'third'"):
            open_secrets(session, seal_of(shared_plane), workspace_id, ["key", "other", "third"])
        with pytest.raises(FairleadError, match="another master key"):
            open_secrets(session, Seal(bytes(32)), workspace_id, ["key"])
        session.add(SecretRow(id="moved", workspace_id=workspace_id, name="moved", sealed=row.sealed, created_at=row.created_at, updated_at=row.updated_at))
        session.flush()
        with pytest.raises(FairleadError, match="cannot be opened"):
            open_secrets(session, seal_of(shared_plane), workspace_id, ["moved"])
        session.rollback()
    database.close()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a b", b'{"value": "x"}'),
        ("-a", b'{"value": "x"}'),
        ("a", b'{"value": ""}'),
        ("a", b'{"value": 1}'),
        ("a", b'{"value": "\\ud800"}'),
        ("a", b'{"value": "\\u0000"}'),
        ("a", b'{"value": "x", "more": 1}'),
        ("a", b'{"value": "' + b"x" * 65_537 + b'"}'),
    ],
)
def test_a_secret_that_makes_no_sense_is_refused_without_being_repeated(owner: Transport, name: str, content: bytes) -> None:
    with pytest.raises(UsageError) as refused:
        owner.request("PUT", owner.path("secrets", name), content=content, headers={"content-type": "application/json"})
    assert "xxxx" not in str(refused.value) + str(refused.value.facts)
    assert list(access.list_secrets(owner)) == []


def seal_of(plane: ControlPlane) -> Seal:
    return load(Settings(state_dir=plane.state))

"""Aliases that move, what happened, and where a version is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.errors import Changed, InUse, NotFound, UsageError
from fairlead.schemas.models import Alias, AliasMove, ModelChange
from fairlead.server.db import Database
from fairlead.server.registry import uses
from fairlead.server.registry.history import stage_of
from fairlead.server.registry.uses import User
from fairlead.server.tables.registry import ModelEventRow, ModelVersionRow
from tests.control_plane import ControlPlane
from tests.fairlead.server.registry.given import registered


@pytest.fixture
def database(shared_plane: ControlPlane) -> Iterator[Database]:
    opened = Database(shared_plane.database_url)
    yield opened
    opened.close()


def test_an_alias_moves_and_remembers(owner: Transport) -> None:
    registered(owner), registered(owner)
    assert models.move_alias(owner, "churn:1", "champion").version == 1
    assert models.move_alias(owner, "churn:latest", "champion").version == 2
    assert models.show_version(owner, "churn@champion").aliases == ["champion"]
    assert models.show_version(owner, "churn:1").aliases == []
    models.move_alias(owner, "churn@champion", "old")
    models.delete_alias(owner, "churn", "champion")
    with pytest.raises(NotFound, match="has no alias 'champion'"):
        models.show_version(owner, "churn@champion")
    told = [(each.event, each.version, each.details) for each in models.each_alias_event(owner, "churn", "champion")]
    assert told == [
        ("alias-removed", None, {"alias": "champion", "from": 2, "to": None}),
        ("alias-moved", 2, {"alias": "champion", "from": 1, "to": 2}),
        ("alias-moved", 1, {"alias": "champion", "from": None, "to": 1}),
    ]
    assert [(each.alias, each.version) for each in models.each_alias(owner, "churn")] == [("old", 2)]


def test_an_alias_moves_only_from_where_it_was_seen(owner: Transport) -> None:
    registered(owner), registered(owner), registered(owner)
    path = owner.path("models", "churn", "aliases", "champion")
    first = owner.send(Alias, "PUT", path, body=AliasMove(version=1))
    owner.send(Alias, "PUT", path, body=AliasMove(version=2), headers={"if-match": str(first.etag)})
    for etag in (str(first.etag), '"99"'):
        with pytest.raises(Changed, match="churn@champion has changed since you read it"):
            owner.send(Alias, "PUT", path, body=AliasMove(version=3), headers={"if-match": etag})
    with pytest.raises(Changed, match="churn@other is not there any more"):
        owner.send(Alias, "PUT", path.replace("champion", "other"), body=AliasMove(version=3), headers={"if-match": str(first.etag)})
    assert models.show_alias(owner, "churn", "champion").version == 2


@pytest.mark.parametrize("word", ["latest", "1st", "a b", ""])
def test_words_that_are_no_alias(owner: Transport, word: str) -> None:
    registered(owner)
    with pytest.raises(UsageError):
        models.move_alias(owner, "churn:1", word)


def test_everything_that_happens_is_told_in_order(owner: Transport) -> None:
    registered(owner, lineage={"run_id": "r-1"})
    registered(owner)
    models.change_version(owner, "churn:1", ModelChange(tags={"stage": "prod"}, description="new"))
    models.change_version(owner, "churn:1", ModelChange(archived=True))
    models.change_version(owner, "churn:1", ModelChange(archived=True))
    models.move_alias(owner, "churn:2", "champion")
    models.delete_version(owner, "churn:1")
    told = list(models.each_model_event(owner, "churn"))
    assert [each.number for each in told] == [6, 5, 4, 3, 2, 1]
    assert [(each.event, each.version) for each in reversed(told)] == [
        ("registered", 1),
        ("registered", 2),
        ("changed", 1),
        ("archived", 1),
        ("alias-moved", 2),
        ("deleted", 1),
    ]
    assert told[3].details == {"tags": {"stage": "prod"}, "fields": ["description"]}
    assert told[-1].details["run_id"] == "r-1"
    assert all(each.principal for each in told)
    assert [each.event for each in models.each_event(owner, "churn:2")] == ["alias-moved", "registered"]


def test_a_version_in_use_cannot_be_deleted(owner: Transport, database: Database) -> None:
    first, second = registered(owner), registered(owner)
    _use(database, User(object_id="service-1", name="churn-api", revision=1), first.id)
    _use(database, User(object_id="service-1", name="churn-api", revision=1), first.id)  # twice is once
    _use(database, User(object_id="service-2", name="other-api", revision=4), first.id, second.id)
    with pytest.raises(InUse, match=r"churn:1 is used by service churn-api, service other-api; delete or update them first") as refused:
        models.delete_version(owner, "churn:1")
    assert refused.value.facts["used_by"] == ["service churn-api", "service other-api"]
    with pytest.raises(InUse, match="The model 'churn' is used by"):
        models.delete_model(owner, "churn")
    assert models.show_version(owner, "churn:1").stage == "deployed"
    assert [(each.name, each.revision, each.version) for each in models.each_model_use(owner, "churn", current=True)] == [
        ("other-api", 4, 2),
        ("other-api", 4, 1),
        ("churn-api", 1, 1),
    ]
    _end(database, "service-1")
    _use(database, User(object_id="service-2", name="other-api", revision=5), second.id)
    _end(database, "service-2", revision=4)
    assert [(each.name, each.current) for each in models.each_use(owner, "churn:1")] == [("other-api", False), ("churn-api", False)]
    assert list(models.each_use(owner, "churn:1", current=True)) == []
    assert (models.show_version(owner, "churn:1").stage, models.show_version(owner, "churn:2").stage) == ("registered", "deployed")
    told = [each.event for each in models.each_event(owner, "churn:1")]
    assert told == ["undeployed", "undeployed", "deployed", "deployed", "registered"]
    models.delete_version(owner, "churn:1")
    with pytest.raises(NotFound, match="churn:1 was deleted meanwhile"):
        _use(database, User(object_id="service-3", name="late", revision=1), first.id)
    _check_stages(database)
    with database.writing() as session, pytest.raises(DatabaseError, match="only ever added"):
        session.execute(text("UPDATE model_events SET event = 'nothing'"))


@given(st.lists(st.tuples(st.sampled_from(["deployed", "undeployed", "archived", "unarchived", "changed"]), st.sampled_from("ab"))))
def test_a_stage_is_a_function_of_the_events(happened: list[tuple[str, str]]) -> None:
    stage = stage_of([(event, {"use": use}) for event, use in happened])
    last = {use: event for event, use in happened if event.endswith("deployed")}
    archived = next((event for event, _ in reversed(happened) if event.endswith("archived")), "")
    assert stage == ("deployed" if "deployed" in last.values() else "archived" if archived == "archived" else "registered")


def _use(database: Database, user: User, *version_ids: str) -> None:
    with database.writing() as session:
        uses.begin(session, "ann", user, version_ids)


def _end(database: Database, object_id: str, **which: Any) -> None:
    with database.writing() as session:
        uses.end(session, None, object_id, **which)


def _check_stages(database: Database) -> None:
    """What is kept in the rows is what the whole log comes to."""
    with database.reading() as session:
        for row in session.scalars(select(ModelVersionRow)):
            log = session.scalars(select(ModelEventRow).where(ModelEventRow.version_id == row.id).order_by(ModelEventRow.number))
            assert row.stage == stage_of([(each.event, each.details) for each in log])

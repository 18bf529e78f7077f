"""Servers whose machines disagree about the time agree by the database's clock, so none takes what another still holds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import true

from fairlead.server import clock
from fairlead.server.db import Database
from fairlead.server.leases import Leases
from fairlead.server.news import News
from fairlead.server.tables import Record
from fairlead.server.tables.services import ServiceRow
from fairlead.server.timekeeping import Timekeeper
from tests.fairlead.server.test_leases import add
from tests.postgresql import PostgreSQL


@pytest.fixture(autouse=True)
def _afterwards() -> Iterator[None]:
    yield
    clock.follow(timedelta())


@pytest.fixture
def shared(postgresql: PostgreSQL) -> Iterator[Database]:
    opened = Database(postgresql.database())
    Record.metadata.create_all(opened.engine)
    yield opened
    opened.close()


def set_clock(monkeypatch: pytest.MonkeyPatch, wrong: timedelta) -> None:
    monkeypatch.setattr(clock, "of_machine", lambda: datetime.now(UTC) + wrong)


@pytest.mark.parametrize("wrong", [timedelta(minutes=-5), timedelta(days=400), timedelta(seconds=3)], ids=str)
def test_a_wrong_clock_is_put_right_and_said(shared: Database, wrong: timedelta, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    set_clock(monkeypatch, wrong)
    keeper = Timekeeper(shared)
    with caplog.at_level(logging.WARNING, "fairlead.server"):
        keeper.look()
        keeper.look()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert [("ahead of" if wrong > timedelta() else "behind") in each.message for each in caplog.records] == [True], "once, not each minute"


def test_a_right_clock_is_left_alone(shared: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fairlead.server"):
        Timekeeper(shared).look()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert not caplog.records


def test_a_database_that_is_away_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.follow(timedelta(minutes=5))
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    Timekeeper(away).look()
    assert clock.now() - datetime.now(UTC) > timedelta(minutes=4)


def test_a_server_that_is_ahead_takes_nothing_that_is_held(shared: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = add(shared)
    punctual, ahead = (Leases(shared, ServiceRow, name, 30.0, true, News()) for name in ("punctual", "ahead"))
    assert [each.id for each in punctual.claim(5)] == ids
    set_clock(monkeypatch, timedelta(minutes=5))
    Timekeeper(shared).look()
    assert ahead.claim(5) == []
    clock.follow(timedelta())
    assert [each.id for each in ahead.claim(5)] == ids, "by its own clock it would have taken them"

"""Leases: one holder at a time, whoever dies; and a holder who lost his is found out when he records (DECISIONS 33, D7)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import true, update

from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.ids import handle_of, new_id
from fairlead.server.leases import Lease, LeaseLost, Leases
from fairlead.server.news import News
from fairlead.server.tables import Record
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.services import EndpointRow, ServiceRow
from fairlead.server.work import DONE, After, Done, Loop, pause_after
from tests.waiting import until

FOREVER = 600.0


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    Record.metadata.create_all(opened.engine)
    yield opened
    opened.close()


def leases(database: Database, node: str, seconds: float = FOREVER) -> Leases[ServiceRow]:
    return Leases(database, ServiceRow, node, seconds, true, News())


def add(database: Database, count: int = 1) -> list[str]:
    """Services that are due."""
    at, workspace = now(), new_id()
    with database.writing() as session:
        session.add(WorkspaceRow(id=workspace, name=workspace[-12:], description="", used_bytes=0, created_at=at, updated_at=at, etag=1))
        session.flush()
        ids = [new_id() for _ in range(count)]
        session.add_all(EndpointRow(id=each, workspace_id=workspace, host="127.0.0.1", auth="none", created_at=at) for each in ids)
        session.flush()
        said = {"target": "local", "tags": {}, "properties": {}, "created_at": at, "updated_at": at, "state": "starting", "wanted_revision": 0, "due_at": at}
        session.add_all(
            ServiceRow(id=each, workspace_id=workspace, endpoint_id=each, name=f"s-{number}", handle=handle_of(each), **said) for number, each in enumerate(ids)
        )
    return ids


def test_a_row_is_claimed_by_one_of_many(database: Database) -> None:
    ids = add(database, 40)
    found: list[Lease] = []

    def claim(node: str) -> None:
        mine = leases(database, node)
        while some := mine.claim(3):
            found.extend(some)

    threads = [threading.Thread(target=claim, args=(f"node-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(each.id for each in found) == sorted(ids)
    assert {each.token for each in found} == {1}


def test_what_its_holder_let_run_out_is_taken_over_and_the_former_holder_records_nothing(database: Database) -> None:
    (identity,) = add(database)
    dead, heir = leases(database, "dead", seconds=0.2), leases(database, "heir")
    (lost,) = dead.claim(1)
    assert heir.claim(1) == []
    (taken,) = until(lambda: heir.claim(1), "the lease to run out")
    assert (taken.id, taken.token) == (identity, lost.token + 1)
    with pytest.raises(LeaseLost), dead.recording(lost) as (_, row):
        row.message = "from the grave"
    assert dead.extend([lost]) == set()
    with heir.recording(taken) as (_, row):
        row.message = "from the heir"
    dead.release([lost])
    with database.reading() as session:
        kept = session.get_one(ServiceRow, identity)
        assert (kept.message, kept.lease_owner) == ("from the heir", "heir")


def test_a_lease_that_is_extended_does_not_run_out(database: Database) -> None:
    add(database)
    holder, other = leases(database, "holder", seconds=0.5), leases(database, "other")
    held = holder.claim(1)
    began = now()
    while now() - began < timedelta(seconds=1.2):
        assert holder.extend(held) == {held[0].id}
        assert other.claim(1) == []


def test_a_row_changed_while_it_is_held_is_told_to_its_holder_once(database: Database) -> None:
    (identity,) = add(database)
    holder = leases(database, "holder")
    holder.claim(1)
    assert not holder.due()
    with database.writing() as session:
        session.execute(update(ServiceRow).values(due_at=now()))
    assert leases(database, "other").claim(1) == []
    assert (holder.due(), holder.nudges(), holder.nudges(), holder.due()) == (True, [identity], [], False)


def test_what_a_server_held_when_it_died_is_its_own_again_at_once(database: Database) -> None:
    (identity,) = add(database)
    leases(database, "node").claim(1)
    reborn = leases(database, "node")
    assert reborn.claim(1) == []
    reborn.forget_former_life()
    assert [each.id for each in reborn.claim(1)] == [identity]


class Counting:
    """Work that counts its steps and does as it is told."""

    name = "count"
    threads = 2
    holds_many = False

    def __init__(self, its: Leases[ServiceRow]) -> None:
        self.leases = its
        self.steps: list[str] = []
        self.outcome: After | Done = DONE
        self.fails = 0

    def step(self, lease: Lease) -> After | Done:
        self.steps.append(lease.id)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("a fault of ours")
        return self.outcome


@pytest.fixture
def counting(database: Database) -> Iterator[Counting]:
    news = News()
    work = Counting(Leases(database, ServiceRow, "node", FOREVER, true, news))
    loop = Loop((work,), FOREVER, news)
    loop.start()
    yield work
    loop.stop()


def test_the_loop_does_what_is_due_once(database: Database, counting: Counting) -> None:
    ids = add(database, 5)
    until(lambda: len(counting.steps) >= 5, "all rows to be taken")
    until(lambda: not _held(database), "all leases to be let go")
    assert sorted(counting.steps) == sorted(ids)


def test_a_step_that_wants_to_come_back_keeps_its_lease(database: Database, counting: Counting) -> None:
    counting.outcome = After(0.01)
    add(database)
    until(lambda: len(counting.steps) > 5, "the row to be looked at again and again")
    assert _held(database) == ["node"]
    counting.outcome = DONE
    until(lambda: not _held(database), "the lease to be let go")


def test_a_fault_of_ours_is_tried_again(database: Database, counting: Counting) -> None:
    counting.fails = 2
    (identity,) = add(database)
    until(lambda: len(counting.steps) == 3, "the third try")
    until(lambda: not _held(database), "the lease to be let go")
    assert counting.steps == [identity] * 3


class Slow(Counting):
    """Its first step ends when it is let."""

    holds_many = True

    def __init__(self, its: Leases[ServiceRow]) -> None:
        super().__init__(its)
        self.may_end = threading.Event()

    def step(self, lease: Lease) -> After | Done:
        is_first = not self.steps
        super().step(lease)
        if not is_first:
            return After(FOREVER)
        self.may_end.wait(60)
        return DONE


def test_a_step_that_outlasts_its_lease_does_not_take_the_next_one_with_it(database: Database) -> None:
    news = News()
    work = Slow(Leases(database, ServiceRow, "node", FOREVER, true, news))
    loop = Loop((work,), FOREVER, news)
    loop.start()
    add(database)
    until(lambda: work.steps, "the row to be taken")
    with database.writing() as session:
        session.execute(update(ServiceRow).values(lease_until=now() - timedelta(seconds=1)))
    until(lambda: len(work.steps) == 2, "the row to be taken again")
    work.may_end.set()
    with database.writing() as session:
        session.execute(update(ServiceRow).values(due_at=now()))
    news.tell()
    until(lambda: len(work.steps) == 3, "the row, which is held, to be looked at")
    loop.stop()


def test_pauses_grow_to_a_limit_however_often_something_fails() -> None:
    assert [pause_after(tries, 30.0, first=0.5) for tries in (0, 1, 2, 6, 7, 5000)] == [0.5, 1.0, 2.0, 30.0, 30.0, 30.0]


def test_a_loop_that_stops_lets_go_of_what_waits(database: Database) -> None:
    news = News()
    work = Counting(Leases(database, ServiceRow, "node", FOREVER, true, news))
    work.outcome = After(FOREVER)
    loop = Loop((work,), FOREVER, news)
    loop.start()
    add(database)
    until(lambda: work.steps, "the row to be taken")
    until(lambda: _held(database) == ["node"], "the lease to be held")
    loop.stop()
    assert _held(database) == []
    assert len(leases(database, "other").claim(1)) == 1, "who comes next must find it"


def _held(database: Database) -> list[str]:
    with database.reading() as session:
        return [row.lease_owner for row in session.query(ServiceRow) if row.lease_owner is not None]

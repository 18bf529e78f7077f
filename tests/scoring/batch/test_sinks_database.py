"""Rows in PostgreSQL: exactly once, whatever breaks, with the types they had."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from fairlead_scoring.batch.job import Order, Output
from fairlead_scoring.batch.ledger import discard, open_ledger
from fairlead_scoring.batch.places import PlaceFault, Refused, open_place
from fairlead_scoring.batch.places.database import DatabasePlace
from fairlead_scoring.batch.shards import Bad, Outcome
from fairlead_scoring.batch.sinks import Unwritable, finish, open_sink

from tests.postgresql import PostgreSQL
from tests.scoring.batch.made_tables import EVERY_TYPE, ZONED, scores

pytestmark = pytest.mark.needs("initdb")


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    return postgresql.database()


@pytest.fixture
def place(url: str) -> DatabasePlace:
    place = open_place(url)
    assert isinstance(place, DatabasePlace)
    return place


def order_for(url: str, table: str | None = "scores") -> Order:
    return Order("job-1", "scores", "/no/bundle", output=Output(url, table=table))


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def publish(order: Order, place: DatabasePlace, shard: int, *tables: pa.Table, bad: tuple[Bad, ...] = ()) -> Outcome:
    sink = open_sink(order, place, shard)
    try:
        for table in tables:
            sink.write(table)
        sink.bad(bad)
        parts, quarantine = sink.publish(Outcome(shard, items=sink.rows, rows=sink.rows, tries=1))
    finally:
        sink.abandon()
    return Outcome(shard, parts, quarantine, items=sink.rows, rows=sink.rows, tries=1, node="here")


def test_a_job_adds_rows_and_goes_on_where_it_was(url: str, place: DatabasePlace) -> None:
    order = order_for(url)
    with open_ledger(place, order, lambda: {"shards": 3}):
        publish(order, place, 0, scores(0, 1500), scores(1500, 500))  # its driver is killed before it notes it
    with open_ledger(place, order, dict) as again:
        assert (again.plan, again.finished, again.done()[0].items, again.done()[0].rows) == ({"shards": 3}, None, 2000, 2000)
        noted = publish(order, place, 2, scores(5000, 10), bad=(Bad("a.csv", 4, "id", "no\x00number", "x"),))
        again.note(noted)
        assert again.done()[2] == noted
        discard(place, again)
        again.commit(finish(order, place, again.done()))
    finished = open_ledger(place, order, dict)
    assert finished.finished is not None
    assert finished.finished["totals"]["rows"] == 2010
    finished.close()
    assert ask(url, "select count(*), sum(id), min(region), count(distinct word) from scores") == [(2010, sum(range(2000)) + sum(range(5000, 5010)), "r0", 5)]
    assert ask(url, "select * from fairlead_batch_quarantine") == [("job-1", 2, "a.csv", 4, "id", "no\\x00number", "x")]


def test_every_type_has_one_in_the_database(url: str, place: DatabasePlace) -> None:
    open_ledger(place, order_for(url), dict).close()
    publish(order_for(url), place, 0, EVERY_TYPE)
    first, second, third = ask(url, "select * from scores order by small desc nulls last")
    assert first[:5] == (True, 1, 2**62, Decimal(2**64 - 1), pytest.approx(0.1))
    assert first[6:9] == ('say "no",\nthen go', "a", EVERY_TYPE["day"][0].as_py())
    assert first[9:] == (ZONED.replace(tzinfo=None), ZONED, Decimal("1.50"), b"\x00\xff", [1, 2], {"a": 1, "b": "x"})
    assert (second[6], set(third) - {None}) == ("", set()) or str(third[5]) == "nan"
    kinds = dict(ask(url, "select column_name, data_type from information_schema.columns where table_name = 'scores'"))
    assert (kinds["small"], kinds["score"], kinds["zoned"], kinds["list"]) == ("smallint", "double precision", "timestamp with time zone", "jsonb")


def test_a_table_may_be_called_whatever_postgresql_takes(url: str, place: DatabasePlace) -> None:
    name = 'Sc-or"es; drop table x'
    order = order_for(url, name)
    open_ledger(place, order, dict).close()
    publish(order, place, 0, pa.table({"a b": [1], 'c"d': ["x"]}))
    assert ask(url, 'select * from "Sc-or""es; drop table x"') == [(1, "x")]


def test_a_shard_that_many_do_at_once_is_there_once(url: str, place: DatabasePlace) -> None:
    order = order_for(url)
    open_ledger(place, order, dict).close()
    threads = [threading.Thread(target=publish, args=(order, place, shard % 2, scores(100 * (shard % 2), 100))) for shard in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(url, "select count(*), count(distinct id) from scores") == [(200, 200)]


class Breaking:
    """A connection whose server session is ended before the commit, or whose commit's answer is lost."""

    def __init__(self, inner: Any, kind: str, url: str) -> None:
        self._inner, self._kind, self._url = inner, kind, url

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if self._kind == "before":
            ask(self._url, f"select pg_terminate_backend({self._inner.info.backend_pid})")
        self._inner.__exit__(kind, fault, trace)
        if self._kind == "after":
            raise psycopg.OperationalError("the connection is lost")


def test_a_connection_that_breaks_loses_and_doubles_nothing(url: str, place: DatabasePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_for(url)
    open_ledger(place, order, dict).close()
    connect: Callable[..., Any] = place._connect
    for shard, kinds in enumerate([["before"], ["after"], ["before", "after"]]):
        left = list(kinds)
        monkeypatch.setattr(place, "_connect", lambda left=left: Breaking(connect(), left.pop(0), url) if left else connect())
        publish(order, place, shard, scores(100 * shard, 100))
        assert not left
    assert ask(url, "select count(*), count(distinct id) from scores") == [(300, 300)]


def test_two_drivers_never_do_one_job(url: str, place: DatabasePlace) -> None:
    with open_ledger(place, order_for(url), dict), pytest.raises(Refused, match=r"another driver of job job-1\. Wait for it, or cancel it"):
        open_ledger(place, order_for(url), dict)
    with pytest.raises(Refused, match="with another order: output was"):
        open_ledger(place, order_for(url, "others"), dict)
    open_ledger(place, replace(order_for(url, "others"), id="job-2"), dict).close()


@pytest.mark.parametrize(
    ("made", "table", "said"),
    [
        ("create table scores (id bigint, score float8, region text)", scores(0, 1), "The table scores has no column word; it has id, score, region. Add it"),
        ("create table scores (id smallint, score float8, region text, word text)", scores(10**6, 1), "does not take the answers: .*out of range"),
        ("create table scores (id int primary key, score float8, region text, word text)", pa.concat_tables([scores(0, 1)] * 2), "duplicate key"),
        ("create schema more", pa.table({"a": ["nul\x00"]}), "does not take the answers: .*invalid byte sequence"),
    ],
)
def test_a_table_that_does_not_fit_says_why_and_takes_nothing(url: str, place: DatabasePlace, made: str, table: pa.Table, said: str) -> None:
    order = order_for(url)
    with psycopg.connect(url) as connection:
        connection.execute(made.encode())
    with open_ledger(place, order, dict) as ledger:
        with pytest.raises(Unwritable, match=said):
            publish(order, place, 0, table)
        assert ledger.done() == {}


def test_a_table_in_a_schema_with_columns_of_its_own(url: str, place: DatabasePlace) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            'create schema more; create table more."Table" (key serial, id bigint, region text, score real, word text, made timestamptz default now())'
        )
    open_ledger(place, order_for(url, "more.Table"), dict).close()
    publish(order_for(url, "more.Table"), place, 0, scores(0, 3))
    assert ask(url, 'select key, id from more."Table" where made is not null') == [(1, 0), (2, 1), (3, 2)]


def test_what_cannot_be_is_said_without_secrets(url: str, place: DatabasePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unwritable, match="no table is named"):
        open_sink(order_for(url, None), place, 0)
    with pytest.raises(PlaceFault, match="holds no files"):
        place.begin("x")
    monkeypatch.setattr("fairlead_scoring.batch.places.retrying.PAUSES", ())
    with pytest.raises(Refused, match="holds a password, which logs would show") as refused:
        open_place("postgresql://me:hidden@127.0.0.1/x")
    nowhere = open_place("postgresql://me@127.0.0.1:1/x", {"password": "hidden"})
    with pytest.raises(PlaceFault, match=r"The database postgresql://me@127\.0\.0\.1:1/x does not answer") as silent:
        open_ledger(nowhere, order_for(url), dict)
    assert "hidden" not in f"{refused.value} {silent.value}"
    known = open_place(url.replace("postgres@", ""), {"user": "postgres", "password": "any"})
    assert isinstance(known, DatabasePlace)
    assert known.transact(lambda connection: connection.execute("select 1").fetchone()) == (1,)


def test_a_column_that_begins_with_nulls_gets_the_type_of_its_values(url: str, place: DatabasePlace) -> None:
    with open_ledger(place, order_for(url), dict):
        publish(order_for(url), place, 0, pa.table({"id": [1], "v": pa.nulls(1)}), pa.table({"id": [2], "v": [0.5]}))
    assert ask(url, "select id, v, pg_typeof(v)::text from scores order by id") == [(1, None, "double precision"), (2, 0.5, "double precision")]

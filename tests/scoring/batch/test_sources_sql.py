"""Rows of queries: the types of PostgreSQL and SQLite, cut by a key, in order."""

from __future__ import annotations

import datetime as dt
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fairlead_scoring.batch.job import MiniBatch, Order
from fairlead_scoring.batch.sources import Unusable

from tests.postgresql import PostgreSQL
from tests.scoring.batch.reading import order, planned, read

TABLE = """CREATE TABLE t (id bigint PRIMARY KEY, small smallint, f double precision, ok boolean, price numeric(10, 2), free numeric,
    day date, at timestamp, zoned timestamptz, word text, tags jsonb)"""
ROW = """INSERT INTO t SELECT i, i % 100, i / 4.0, i % 2 = 0, i + 0.25, i, date '2024-01-01' + i % 300, timestamp '2024-01-01 10:00:00.5',
    timestamptz '2024-01-01 10:00:00+02', CASE WHEN i % 3 = 0 THEN NULL WHEN i % 3 = 1 THEN '' ELSE E'a,"\\n' || i END, '{"a": 1}'
    FROM generate_series(0, 11999) AS i ORDER BY i % 7"""


@pytest.fixture(scope="module")
def database(postgresql: PostgreSQL) -> str:
    url = postgresql.database()
    with psycopg.connect(url) as connection:
        connection.execute(TABLE)
        connection.execute(ROW)
    return url


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, f REAL, word TEXT, data BLOB)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [(i, i / 2, None if i % 3 else f"w {i}", b"\x00") for i in range(12_000)])
    connection.close()
    return f"sqlite:///{path}"


def query(database: str, text: str, rows: int = 5000, **said: Any) -> Order:
    return order(database=database, query=text, mini_batch=MiniBatch(rows=rows), **said)


def test_postgresql_gives_what_psycopg_gives(database: str) -> None:
    found = read(query(database, "SELECT * FROM t;", options={"unique": "id"}))
    with psycopg.connect(database) as connection:
        connection.execute("SET timezone = 'UTC'")
        expected = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    names = found.table.column_names
    assert names == ["id", "small", "f", "ok", "price", "free", "day", "at", "zoned", "word", "tags"]
    assert [tuple(row[name] for name in names[:4]) for row in found.rows] == [row[:4] for row in expected]
    assert [row["word"] for row in found.rows] == [row[9] for row in expected]
    first = found.rows[2]
    assert (first["price"], first["free"], first["day"]) == (Decimal("2.25"), 2.0, dt.date(2024, 1, 3))
    assert (first["at"], first["tags"]) == (dt.datetime(2024, 1, 1, 10, 0, 0, 500_000), '{"a": 1}')  # noqa: DTZ001 - a timestamp without a zone
    assert first["zoned"] == dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
    assert found.plan.rows == 12_000


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_a_unique_column_cuts_a_query_into_shards(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_scoring.batch.planning.SMALLEST_SHARD", 1)
    url = request.getfixturevalue("database" if kind == "postgresql" else "sqlite")
    found = read(query(url, "SELECT id, f FROM t", options={"unique": "id"}))
    assert [row["id"] for row in found.rows] == list(range(12_000))
    assert len(found.plan.shards) == 2
    assert found.batches[-1].origin(0)[1] == 10_000
    whole = read(query(url, "SELECT id, f FROM t ORDER BY id"))
    assert (len(whole.plan.shards), whole.table.equals(found.table)) == (1, True)


def test_sqlite_gives_what_python_gives(sqlite: str) -> None:
    found = read(query(sqlite, "SELECT * FROM t ORDER BY id", columns=("word", "id", "data")))
    assert [tuple(row.values()) for row in found.rows] == [(None if i % 3 else f"w {i}", i, b"\x00") for i in range(12_000)]


def test_a_value_of_another_type_is_a_bad_row(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE t (v)")
        connection.executemany("INSERT INTO t VALUES (?)", [*[(i,) for i in range(1500)], ("text",), (7,)])
    connection.close()
    found = read(query(f"sqlite:///{tmp_path / 'a.db'}", "SELECT v FROM t"))
    assert (len(found.rows), [(bad.row, bad.value) for bad in found.bad]) == (1501, [(1500, "('text',)")])


def test_a_query_that_breaks_off_is_said(database: str, sqlite: str) -> None:
    for url, text in ((database, "SELECT 1 / (id - 11500) AS x FROM t"), (sqlite, "SELECT abs(-9223372036854775807 - (id = 11500)) AS x FROM t")):
        with pytest.raises(Unusable, match="The query broke off"):
            read(query(url, text))


def test_rows_of_a_query_are_taken_by_time_and_by_group(database: str) -> None:
    text = "SELECT id, day, small FROM t ORDER BY id"
    found = read(query(database, text, timestamp="day", after="2024-01-03", before="2024-01-04", columns=("id",)))
    assert [row["id"] for row in found.rows] == list(range(2, 12_000, 300))
    grouped = read(order(database=database, query="SELECT id, small % 3 AS k FROM t ORDER BY id", partition_keys=("k",), mini_batch=MiniBatch(rows=9000)))
    assert sorted((batch.group, batch.table["id"][0].as_py(), batch.table.num_rows) for batch in grouped.batches) == [
        (("0",), 0, 4080),
        (("1",), 1, 3960),
        (("2",), 2, 3960),
    ]


def test_a_query_may_end_with_a_comment(database: str, sqlite: str) -> None:
    for url in (database, sqlite):
        assert read(query(url, "SELECT id FROM t WHERE id = 7; ")).rows == [{"id": 7}]
        assert read(query(url, "SELECT id FROM t WHERE id = 7 -- the seventh")).rows == [{"id": 7}]


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("SELECT nothing FROM t", {}, "cannot be run"),
        ("DELETE FROM t", {}, "cannot be run"),
        ("SELECT id, 1 AS k FROM t", {"unique": "k"}, "'k', but a value of it occurs twice"),
        ("SELECT id FROM t", {"order": "id"}, "no option 'order'"),
    ],
)
@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_what_is_no_query_is_said(kind: str, text: str, options: dict[str, str], complaint: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("database" if kind == "postgresql" else "sqlite")
    with pytest.raises(Unusable, match=complaint):
        planned(query(url, text, options=options))


@pytest.mark.parametrize("password", ["hidden", "100%hidden", "hid%64en"])
def test_an_address_is_said_without_its_password(password: str) -> None:
    with pytest.raises(Unusable, match=r"^postgresql://127.0.0.1:1/x cannot be reached") as raised:
        planned(query(f"postgresql://me:{password}@127.0.0.1:1/x", "SELECT 1"))
    assert "hidden" not in str(raised.value)
    assert password not in str(raised.value)


def test_unknown_databases_are_said() -> None:
    with pytest.raises(Unusable, match="is no database that is known"):
        planned(query("mysql://me:hidden@host/x", "SELECT 1"))


def test_the_plan_has_no_password(database: str) -> None:
    made = planned(query(database.replace("postgres@", "postgres:hidden@"), "SELECT id FROM t"))
    assert "hidden" not in str(made.to_json())

"""Rows added to a table in PostgreSQL: a shard's rows and its line in the ledger in one transaction, so that neither is there without the other."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from typing import Any, Iterable, List, Optional, Tuple

import pyarrow as pa
from pyarrow import csv, types

from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.ledger.database import QUARANTINE_TABLE, TABLE
from fairlead_scoring.batch.places.database import DatabasePlace
from fairlead_scoring.batch.shards import Bad, Outcome, Part
from fairlead_scoring.batch.sinks.columns import flat_table, schema_text
from fairlead_scoring.batch.sinks.sink import Published, Sink, Unwritable, in_order, quarantine_row

_PLAIN: Tuple[Tuple[Any, str], ...] = (
    (types.is_boolean, "boolean"),
    (types.is_int64, "bigint"),
    (types.is_uint64, "numeric"),
    (types.is_uint32, "bigint"),
    (lambda kind: types.is_int32(kind) or types.is_uint16(kind), "integer"),
    (types.is_integer, "smallint"),
    (types.is_float64, "double precision"),
    (types.is_floating, "real"),
    (types.is_date, "date"),
    (types.is_time, "time"),
    (types.is_decimal, "numeric"),
    (types.is_nested, "jsonb"),
    (types.is_duration, "double precision"),
)


class DatabaseSink(Sink):
    """Answers wait in a file of this machine, so that the transaction is short and can be tried again."""

    def __init__(self, order: Order, place: DatabasePlace, shard: int) -> None:
        assert order.output is not None
        if not order.output.table:
            raise Unwritable(f"{order.output.url} is a database, and no table is named (--table).")
        self._job, self._table, self._place, self._shard = order.id, order.output.table, place, shard
        self._spool = tempfile.TemporaryFile(prefix="fairlead-")  # noqa: SIM115 - published or abandoned
        self._schema: Optional[pa.Schema] = None
        self._bad: List[Bad] = []

    def write(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        table = table.replace_schema_metadata(None)
        if self._schema is None:
            self._schema = table.schema
        self._schema = pa.schema(
            [table.schema.field(each.name) if types.is_null(each.type) and each.name in table.column_names else each for each in self._schema]
        )
        flat = flat_table(_hexed(in_order(table, self._schema.names)))
        csv.write_csv(flat, self._spool, csv.WriteOptions(include_header=False, batch_size=4096))
        self.rows += table.num_rows

    def bad(self, items: Iterable[Bad]) -> None:
        self._bad += items

    def publish(self, outcome: Optional[Outcome] = None) -> Published:
        parts = () if self._schema is None else (Part(self._table, self.rows, self._spool.tell(), "", schema_text(self._schema)),)
        quarantine = (Part(QUARANTINE_TABLE, len(self._bad), 0, ""),) if self._bad else ()
        told = outcome or Outcome(self._shard, items=self.rows + len(self._bad), rows=self.rows, failed=len(self._bad))
        line = json.dumps(replace(told, shard=self._shard, parts=parts, quarantine=quarantine).to_json())
        try:
            self._place.transact(lambda connection: self._add(connection, line))
        finally:
            self.abandon()
        return parts, quarantine

    def abandon(self) -> None:
        self._spool.close()

    def _add(self, connection: Any, line: str) -> None:
        """The line first: whoever does the same shard waits for this transaction, and then finds it done."""
        noted = f"insert into {TABLE} values (%s, %s, %s) on conflict do nothing"  # noqa: S608 - a name of our own
        if connection.execute(noted, (self._job, self._shard, line)).rowcount == 0:
            return
        import psycopg

        try:
            if self._schema is not None:
                self._copy(connection, self._schema)
        except (psycopg.errors.DataError, psycopg.errors.IntegrityError, psycopg.errors.ProgrammingError, psycopg.errors.NotSupportedError) as fault:
            raise Unwritable(f"The table {self._table} does not take the answers: {self._place.said(fault)}.") from None
        for each in self._bad:
            row = quarantine_row(each)
            statement = f"insert into {QUARANTINE_TABLE} values (%s, %s, %s, %s, %s, %s, %s)"  # noqa: S608 - a name of our own
            values = (row["url"], row["row"], row["column"], row["reason"], row["value"])
            connection.execute(statement, (self._job, self._shard, *(_storable(value) for value in values)))

    def _copy(self, connection: Any, schema: pa.Schema) -> None:
        from psycopg import sql

        table = sql.Identifier(*self._table.split("."))
        self._make_table(connection, table, schema)
        names = sql.SQL(", ").join([sql.Identifier(name) for name in schema.names])
        self._spool.seek(0)
        with connection.cursor().copy(sql.SQL("copy {} ({}) from stdin with (format csv)").format(table, names)) as copy:
            while chunk := self._spool.read(1 << 20):
                copy.write(chunk)

    def _make_table(self, connection: Any, table: Any, schema: pa.Schema) -> None:
        from psycopg import sql

        if not self._exists(connection):  # two that make it at once would hinder each other
            connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"fairlead {self._table}",))
        columns = sql.SQL(", ").join([sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(_type_of(field.type))) for field in schema])
        connection.execute(sql.SQL("create table if not exists {} ({})").format(table, columns))
        there = [column.name for column in connection.execute(sql.SQL("select * from {} limit 0").format(table)).description]
        missing = [name for name in schema.names if name not in there]
        if missing:
            cure = f"Add it (alter table {self._table} add column ...), leave it out, or name another table"
            raise Unwritable(f"The table {self._table} has no column {missing[0]}; it has {', '.join(there)}. {cure}.")

    def _exists(self, connection: Any) -> bool:
        from psycopg import sql

        name = sql.Identifier(*self._table.split(".")).as_string(connection)
        found: bool = connection.execute("select to_regclass(%s) is not null", (name,)).fetchone()[0]
        return found


def _hexed(table: pa.Table) -> pa.Table:
    """Bytes as PostgreSQL writes them."""
    for number, field in enumerate(table.schema):
        if types.is_binary(field.type) or types.is_large_binary(field.type) or types.is_fixed_size_binary(field.type):
            values = [None if value is None else f"\\x{value.hex()}" for value in table.column(number).to_pylist()]
            table = table.set_column(number, field.name, pa.array(values, pa.string()))
    return table


def _storable(value: Any) -> Any:
    return value.replace("\x00", "\\x00") if isinstance(value, str) else value


def _type_of(kind: pa.DataType) -> str:
    if types.is_dictionary(kind):
        return _type_of(kind.value_type)
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "bytea"
    return next((name for fits, name in _PLAIN if fits(kind)), "text")

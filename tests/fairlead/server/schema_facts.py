"""What a database really has, in a form that two databases can be compared by, and rows to put into whatever tables there are."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, DateTime, Float, Integer, LargeBinary, MetaData, Table, inspect, select, text
from sqlalchemy.types import NullType

from fairlead.server.schema import VERSION_TABLE

Rows = dict[str, list[dict[str, Any]]]


def facts(connection: Connection) -> dict[str, Any]:
    """Columns, keys, indexes and checks of each table, and every trigger."""
    asked = inspect(connection)
    tables = {}
    for name in sorted(set(asked.get_table_names()) - {VERSION_TABLE}):
        tables[name] = {
            "columns": {each["name"]: (str(each["type"]), each["nullable"], each["default"]) for each in asked.get_columns(name)},
            "primary key": asked.get_pk_constraint(name),
            "foreign keys": _sorted(asked.get_foreign_keys(name)),
            "unique": _sorted(asked.get_unique_constraints(name)),
            "checks": _sorted(asked.get_check_constraints(name)),
            "indexes": _sorted(asked.get_indexes(name)),
        }
    return {"tables": tables, "triggers": triggers(connection)}


def triggers(connection: Connection) -> list[tuple[str, ...]]:
    if connection.dialect.name == "sqlite":
        asked = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    else:
        asked = "SELECT tgname, pg_get_triggerdef(t.oid), p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid WHERE NOT tgisinternal ORDER BY tgname"
    return [tuple(row) for row in connection.execute(text(asked))]


def fill(connection: Connection) -> Rows:
    """One row in every table, each reference to a row that is there."""
    metadata = MetaData()
    metadata.reflect(connection)
    made: dict[str, dict[str, Any]] = {}
    for table in metadata.sorted_tables:
        if table.name != VERSION_TABLE:
            made[table.name] = {column.name: _value(column, made) for column in table.columns}
            connection.execute(table.insert().values(made[table.name]))
    return rows(connection)


def rows(connection: Connection) -> Rows:
    metadata = MetaData()
    metadata.reflect(connection)
    return {table.name: _rows_of(connection, table) for table in metadata.sorted_tables if table.name != VERSION_TABLE}


def _rows_of(connection: Connection, table: Table) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(select(table))]


def _value(column: Column[Any], made: dict[str, dict[str, Any]]) -> Any:
    reference = next(iter(column.foreign_keys), None)
    if reference is not None:
        there = made.get(reference.column.table.name)
        return there[reference.column.name] if there else None
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    kinds: list[tuple[Any, Any]] = [
        (Boolean, True),
        (Integer, 7),
        (Float, 0.5),
        (DateTime, at),
        (LargeBinary, b"\0\xff"),
    ]
    kind = column.type
    assert not isinstance(kind, NullType)
    if isinstance(kind, JSON):
        return {"a": [1, None, "ä"]}
    return next((value for known, value in kinds if isinstance(kind, known)), uuid.uuid4().hex[: getattr(kind, "length", None) or 32])


def _sorted(found: Any) -> list[str]:
    return sorted(json.dumps(each, default=str, sort_keys=True) for each in found)

"""Rows as lines of JSON, the same from SQLite and PostgreSQL, at whatever step the schema is: types are those that the database says.

A column that is null is left out, so a JSON null is not taken for it. Times are UTC, bytes are base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

from sqlalchemy import JSON, Column, Connection, DateTime, LargeBinary, MetaData, Table, Text, bindparam, cast, select, type_coerce

from fairlead.errors import UsageError
from fairlead.server.schema import VERSION_TABLE

LONGEST_LINE = 64 << 20
AT_ONCE = 500


def tables_of(connection: Connection) -> list[Table]:
    """As the database has them; those that others refer to come first."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != VERSION_TABLE]


def write_rows(connection: Connection, table: Table, stream: BinaryIO) -> int:
    """How many there were."""
    columns = list(table.columns)
    asked = select(*(cast(column, Text) if isinstance(column.type, JSON) else column for column in columns)).order_by(*table.primary_key)
    count = 0
    with connection.execute(asked.execution_options(yield_per=AT_ONCE)) as rows:
        for row in rows:
            line = {column.name: _told(column, value) for column, value in zip(columns, row, strict=True) if value is not None}
            stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            count += 1
    return count


def read_rows(connection: Connection, table: Table, stream: BinaryIO) -> int:
    """Adds them. Raises UsageError for a line that does not fit the table."""
    values = {column.name: _parameter(connection, column) for column in table.columns}
    count = 0
    for batch in _batches(_lines(table, stream)):
        connection.execute(table.insert().values(values), batch)
        count += len(batch)
    return count


def _told(column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, JSON):
        return json.loads(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _parameter(connection: Connection, column: Column[Any]) -> Any:
    """JSON travels as text, which tells a null of the database from one in the document."""
    name = f"v_{column.name}"
    if not isinstance(column.type, JSON):
        return bindparam(name, type_=column.type)
    text = bindparam(name, type_=Text())
    return cast(text, column.type) if connection.dialect.name == "postgresql" else type_coerce(text, Text)


def _lines(table: Table, stream: BinaryIO) -> Iterator[dict[str, Any]]:
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        try:
            if len(line) > LONGEST_LINE:
                raise ValueError("it is too long")
            said = json.loads(line)
            if not isinstance(said, dict) or said.keys() - table.columns.keys():
                raise ValueError("it has other columns")
            yield {f"v_{column.name}": _understood(column, said) for column in table.columns}
        except (ValueError, TypeError, RecursionError) as error:
            raise UsageError(f"Line {number} of {table.name} in the backup is no row of this table ({error}); use another backup.") from error


def _understood(column: Column[Any], said: dict[str, Any]) -> Any:
    if column.name not in said:
        return None
    value: Any = said[column.name]
    if isinstance(column.type, JSON):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(value).astimezone(UTC)
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value, validate=True)
    if not isinstance(value, str | int | float | bool):
        raise TypeError(f"{column.name} is {type(value).__name__}")
    return value


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch

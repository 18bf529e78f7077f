"""Rows of a query: PostgreSQL (psycopg) and SQLite files, read only and never all at once."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.csv

from fairlead_scoring.batch.job import Input
from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.conversion import type_named
from fairlead_scoring.batch.sources.delimited import Dialect, Parser
from fairlead_scoring.batch.sources.lexing import row_blocks
from fairlead_scoring.batch.sources.pieces import Parsed, Piece, Trouble, Unusable, line_of
from fairlead_scoring.batch.sources.schemas import Facts, schema_from_text, schema_to_text, taken
from fairlead_scoring.batch.sources.text import flow

OPTIONS = ("unique", "types")
AT_ONCE = 10_000  # rows
_SAMPLE = 1000
_LEAST, _MOST, _SHARDS = 10_000, 1 << 20, 32  # rows of a shard, and how many of them there should be
_POSTGRESQL = ("postgresql://", "postgres://")
_TYPES = {16: pa.bool_(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 26: pa.int64(), 700: pa.float32(), 701: pa.float64(), 1082: pa.date32()}
_TYPES.update({1114: pa.timestamp("us"), 1184: pa.timestamp("us", "UTC")})
_NUMERIC = 1700


def facts(url: str, order: Input, columns: Optional[Sequence[str]]) -> Facts:
    """Types, how many rows there are, and with the option `unique` at which of its values the query is cut. Raises Unusable."""
    with _connected(url) as database:
        schema = database.schema(_query(order))
        told = {name: type_named(kind) for name, kind in (order.options.get("types") or {}).items()}
        schema = pa.schema([(name, told.get(name) or schema.field(name).type) for name in taken(columns, schema.names, "The query's result")])
        rows, bounds = _count(database, _query(order)), []
        rows_each = max(_LEAST, min(_MOST, -(-rows // _SHARDS)))
        unique = order.options.get("unique")
        if unique and rows > rows_each:
            bounds = _bounds(database, _query(order), str(unique), rows_each)
    row_bytes = sum(max(1, _width(field.type)) for field in schema)
    return {"schema": schema_to_text(schema), "row_bytes": row_bytes, "options": dict(order.options), "rows": rows, "bounds": bounds, "rows_each": rows_each}


def read(url: str, order: Input, noted: Facts, part: Slice) -> Iterator[Piece]:
    """The rows of a slice, in the order of `unique`, else as the query gives them."""
    schema = schema_from_text(noted["schema"])
    row = part.start
    with _connected(url) as database:
        for parsed in database.tables(_query(order), schema, _range(noted, part)):
            yield parsed.piece(part.url, row)
            row += parsed.table.num_rows + len(parsed.troubles)


def shown(url: str) -> str:
    """The database's address without a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


class Range:
    """unique: the column by which rows are ordered, None where the query's own order holds. Rows with least <= unique < below."""

    def __init__(self, unique: Optional[str], least: Any, below: Any) -> None:
        self.unique = unique
        self.least = least
        self.below = below

    def applied(self, query: str, literal: Any, name: Any) -> str:
        if self.unique is None:
            return query
        column = name(self.unique)
        conditions = [f"{column} >= {literal(self.least)}"] if self.least is not None else []
        conditions += [f"{column} < {literal(self.below)}"] if self.below is not None else []
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT * FROM ({query}) AS q{where} ORDER BY {column}"  # noqa: S608 - the query is the user's own, on the user's own database


class _PostgreSQL:
    """COPY gives rows as CSV, many times faster than a cursor gives them as objects."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._failed = psycopg.Error
        try:
            self._connection = psycopg.connect(url, autocommit=False)
        except psycopg.Error as fault:
            raise Unusable(f"{shown(url)} cannot be reached: {_without(url, line_of(fault))}. See to the address, the credentials and the network.") from None
        self._connection.read_only = True
        self._execute("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL bytea_output = 'hex'; SET LOCAL intervalstyle = 'iso_8601'")

    def schema(self, query: str) -> pa.Schema:
        cursor = self._execute(f"SELECT * FROM ({query}) AS q LIMIT 0")  # noqa: S608 - as above
        return pa.schema([(column.name, self._type(column)) for column in cursor.description or ()])

    def tables(self, query: str, schema: pa.Schema, part: Range) -> Iterator[Parsed]:
        names = ", ".join(_name(name) for name in schema.names)
        wanted = part.applied(query, self._literal, _name)
        statement = f"COPY (SELECT {names} FROM ({wanted}) AS r) TO STDOUT (FORMAT csv)"  # noqa: S608 - as above
        try:
            with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copied:
                yield from _copied(copied, schema)
        except self._failed as fault:
            raise Unusable(f"The query broke off: {line_of(fault)}") from None

    def fetch(self, statement: str) -> List[Tuple[Any, ...]]:
        rows: List[Tuple[Any, ...]] = self._execute(statement).fetchall()
        return rows

    def close(self) -> None:
        self._connection.close()

    def _literal(self, value: Any) -> str:
        from psycopg import sql

        return sql.Literal(value).as_string(self._connection)

    def _execute(self, statement: str) -> Any:
        try:
            return self._connection.execute(statement.encode())
        except self._failed as fault:
            raise Unusable(f"The query cannot be run: {line_of(fault)}") from None

    @staticmethod
    def _type(column: Any) -> pa.DataType:
        if column.type_code == _NUMERIC:
            fits = column.precision is not None and column.precision <= 38
            return pa.decimal128(column.precision, column.scale or 0) if fits else pa.float64()
        return _TYPES.get(column.type_code, pa.string())


class _SQLite:
    def __init__(self, url: str) -> None:
        path = url[len("sqlite:///") :] if url.startswith("sqlite:///") else url[len("sqlite:") :]
        try:
            self._connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
            self._connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        except sqlite3.Error as fault:
            raise Unusable(f"{path} cannot be opened as an SQLite database: {fault}.") from None

    def schema(self, query: str) -> pa.Schema:
        with _refusing("The query cannot be run"):
            cursor = self._connection.execute(f"SELECT * FROM ({query}) AS q LIMIT {_SAMPLE}")  # noqa: S608 - the query is the user's own
            names, rows = [column[0] for column in cursor.description], cursor.fetchall()
        columns = list(zip(*rows)) if rows else [() for _ in names]
        return pa.schema([(name, _type_of(values)) for name, values in zip(names, columns)])

    def tables(self, query: str, schema: pa.Schema, part: Range) -> Iterator[Parsed]:
        names = ", ".join(_name(name) for name in schema.names)
        with _refusing("The query broke off"):
            cursor = self._connection.execute(f"SELECT {names} FROM ({part.applied(query, _literal, _name)}) AS r")  # noqa: S608 - as above
            while rows := cursor.fetchmany(AT_ONCE):
                yield _typed(rows, schema)

    def close(self) -> None:
        self._connection.close()

    def fetch(self, statement: str) -> List[Tuple[Any, ...]]:
        with _refusing("The query cannot be run"):
            return self._connection.execute(statement).fetchall()


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """SQLite computes a row when it is fetched, so each may fail."""
    try:
        yield
    except sqlite3.Error as fault:
        raise Unusable(f"{what}: {fault}.") from None


def _connected(url: str) -> Any:
    if url.startswith(_POSTGRESQL):
        return contextlib.closing(_PostgreSQL(url))
    if url.startswith("sqlite:"):
        return contextlib.closing(_SQLite(url))
    raise Unusable(f"{shown(url)} is no database that is known; write postgresql://… or sqlite:///PATH.")


def _without(url: str, text: str) -> str:
    """libpq repeats what it cannot read of an address."""
    password = url.rpartition("@")[0].partition("://")[2].partition(":")[2]
    for secret in {password, unquote(password)} - {""}:
        text = text.replace(secret, "***")
    return text


def _query(order: Input) -> str:
    """Ends its last line, which may be a comment."""
    return (order.query or "").strip().rstrip(";") + "\n"


def _range(noted: Mapping[str, Any], part: Slice) -> Range:
    bounds: Sequence[Any] = noted["bounds"]
    unique = noted["options"].get("unique")
    number = part.start // noted["rows_each"]
    least = bounds[number] if bounds and number else None
    return Range(unique, least, bounds[number + 1] if number + 1 < len(bounds) else None)


def _bounds_query(query: str, column: str, each: int) -> str:
    numbered = f"SELECT {column} AS k, row_number() OVER (ORDER BY {column}) - 1 AS n, count(*) OVER (PARTITION BY {column}) AS c FROM ({query}) AS q"  # noqa: S608 - as above
    return f"SELECT k, n, c FROM ({numbered}) AS r WHERE n % {each} = 0 OR c > 1 OR k IS NULL ORDER BY n"  # noqa: S608 - as above


def _count(database: Any, query: str) -> int:
    return int(database.fetch(f"SELECT count(*) FROM ({query}) AS q")[0][0])  # noqa: S608 - as above


def _bounds(database: Any, query: str, unique: str, each: int) -> List[Any]:
    """Numbers stay numbers, all else is text. Raises Unusable."""
    found = database.fetch(_bounds_query(query, _name(unique), each))
    if any(count > 1 or key is None for key, _, count in found):
        raise Unusable(f"The option `unique` names {unique!r}, but a value of it occurs twice or is missing; name a column that is a key, or leave it out.")
    return [key if isinstance(key, (int, float)) else str(key) for key, _, _ in found]


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(value: Any) -> str:
    return repr(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"


def _copied(copied: Any, schema: pa.Schema) -> Iterator[Parsed]:
    dialect = Dialect({"null_values": [""], "true_values": ["t"], "false_values": ["f"], "quoted_nulls": False})
    parser = Parser(dialect, schema.names, schema)
    for block in row_blocks(flow(copied), -1, dialect.marks):
        yield parser.parse(block)


def _typed(rows: Sequence[Tuple[Any, ...]], schema: pa.Schema) -> Parsed:
    try:
        return Parsed(_table(rows, schema))
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        good: List[Tuple[Any, ...]] = []
        troubles: List[Trouble] = []
        for number, row in enumerate(rows):
            try:
                _table([row], schema)
                good.append(row)
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as fault:
                troubles.append(Trouble(number, None, line_of(fault), str(row)))
        return Parsed(_table(good, schema), troubles)


def _table(rows: Sequence[Tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns: Sequence[Sequence[Any]] = list(zip(*rows)) if rows else [() for _ in schema]
    return pa.table([_array(values, field.type) for values, field in zip(columns, schema)], schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError):
        if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
            return pa.array([None if value is None else str(value) for value in values], pa.string()).cast(kind)
        raise


def _type_of(values: Sequence[Any]) -> pa.DataType:
    try:
        kind = pa.array(values).type
    except (pa.ArrowException, TypeError):
        return pa.float64() if all(value is None or isinstance(value, (int, float)) for value in values) else pa.string()
    return pa.string() if pa.types.is_null(kind) else kind


def _width(kind: pa.DataType) -> int:
    try:
        return int(kind.bit_width) // 8
    except ValueError:
        return 32

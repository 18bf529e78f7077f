"""The job records of one workspace (E8), asked by SQL: loaded into a database in memory that reads and does nothing else."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.schemas.jobs import JobRows
from fairlead.server.access import Access
from fairlead.server.tables.jobs import BatchServiceRow, JobEventRow, JobRow

TABLE = "job_events"
ALIAS = "AmlComputeJobEvents"  # as the seeds call it
COLUMNS = (
    "TimeGenerated", "EventType", "JobId", "JobName", "ExecutionState", "ExperimentName", "ClusterName", "NodeId", "ErrorDetails", "JobErrorMessage",
    "ProvisioningState", "WorkspaceName", "ServiceName", "JobKind", "UserName", "Message",
)  # fmt: skip
MOST_RECORDS = 200_000  # the newest
MOST_ROWS = 10_000
SECONDS = 5.0
LONGEST_VALUE = 1_000_000  # bytes
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))


def query(session: Session, access: Access, sql: str) -> JobRows:
    """Raises UsageError that says what is wrong with the query."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        _load(connection, _records(session, access))
        _confine(connection)
        return _ask(connection, sql)
    finally:
        connection.close()


def _records(session: Session, access: Access) -> Iterator[tuple[Any, ...]]:
    chosen = (
        select(JobEventRow, JobRow.name, JobRow.experiment, JobRow.engine, JobRow.kind, JobRow.created_by, BatchServiceRow.name)
        .join(JobRow, JobRow.id == JobEventRow.job_id)
        .outerjoin(BatchServiceRow, BatchServiceRow.id == JobRow.service_id)
        .where(JobEventRow.workspace_id == access.workspace_id)
        .order_by(JobEventRow.id.desc())
        .limit(MOST_RECORDS)
    )
    for event, name, experiment, engine, kind, user, service in session.execute(chosen):
        has_failed = event.event == "JobFailed"
        details = json.dumps({"cause": event.cause, **event.details}) if event.cause or has_failed else None
        at = f"{event.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        yield (
            at, event.event, event.job_id, name, event.state, experiment, engine, event.node, details, event.message if has_failed else None,
            "Succeeded" if event.node else None, access.workspace, service, kind, user, event.message,
        )  # fmt: skip


def _load(connection: sqlite3.Connection, records: Iterator[tuple[Any, ...]]) -> None:
    connection.execute(f"CREATE TABLE {TABLE} ({', '.join(f'{name} TEXT' for name in COLUMNS)})")
    connection.execute(f"CREATE VIEW {ALIAS} AS SELECT * FROM {TABLE}")  # noqa: S608 - names of our own
    marks = ", ".join("?" for _ in COLUMNS)
    connection.executemany(f"INSERT INTO {TABLE} VALUES ({marks})", records)  # noqa: S608 - names of our own


def _confine(connection: sqlite3.Connection) -> None:
    """From here on it reads these tables, for a while, and nothing else; whatever the words."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.text_factory = lambda said: said.decode(errors="replace")
    give_up = time.monotonic() + SECONDS
    connection.set_progress_handler(lambda: int(time.monotonic() > give_up), _STEPS)
    connection.set_authorizer(_may)


def _may(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_READ and first not in (TABLE, ALIAS, None, "") and str(first).startswith("sqlite_"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _ask(connection: sqlite3.Connection, sql: str) -> JobRows:
    try:
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise UsageError("The query says nothing that could be answered; write one SELECT, such as select JobName from job_events.")
        rows = cursor.fetchmany(MOST_ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise UsageError(_sentence(error)) from error
    columns = [each[0] for each in cursor.description]
    return JobRows(columns=columns, rows=[[_plain(value) for value in row] for row in rows[:MOST_ROWS]], more=len(rows) > MOST_ROWS)


def _sentence(error: Exception) -> str:
    said = str(error)
    if "authoriz" in said or "prohibited" in said or "one statement" in said:
        return f"The records are only read, by one SELECT over {TABLE}; nothing else is done ({said})."
    if "interrupted" in said:
        return f"The query takes more than {SECONDS:g} seconds; ask for less, such as where TimeGenerated > '2026-01-01'."
    if "no such" in said:
        return f"The query does not work: {said}. The table is {TABLE}, with the columns {', '.join(COLUMNS)}."
    return f"The query does not work: {said}."


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and not math.isfinite(value) else value

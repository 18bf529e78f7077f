"""The database: SQLite (WAL) or PostgreSQL, one engine, short transactions.

A writing transaction begins IMMEDIATE on SQLite, so two writers wait for each other instead of failing half way; PostgreSQL runs READ COMMITTED
with row locks where a rule needs them (`SELECT … FOR UPDATE`, `UPDATE … RETURNING`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.orm import Session

from fairlead.errors import Unavailable, UsageError
from fairlead.places import make_private
from fairlead.server.faults import FaultPoint

T = TypeVar("T")
BUSY_MILLISECONDS = 30_000
AT_ONCE = 5000
_WRITES = "fairlead_writes"
BEFORE_COMMIT = FaultPoint("database.before-commit", "any transaction is written, and not yet committed")
AFTER_COMMIT = FaultPoint("database.after-commit", "any transaction is committed, and nobody knows yet")


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many as one statement takes: PostgreSQL has at most 65,535 parameters, SQLite 32,766."""
    yield from (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


class Database:
    def __init__(self, url: str, *, called: str = "fairlead server") -> None:
        """`called`: how PostgreSQL knows us. Raises UsageError for a URL that is neither sqlite nor postgresql."""
        self.engine = _engine(url, called)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writing = self.engine.execution_options(fairlead_writes=True)

    @property
    def shown(self) -> str:
        """Its URL without the password."""
        return self.engine.url.render_as_string()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads; what it changed by mistake is rolled back."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back by an exception. Nothing slow belongs in it."""
        with Session(self._writing, expire_on_commit=False, info={_WRITES: True}) as session:
            yield session
            finish(session)

    def ping(self) -> None:
        """Raises Unavailable."""
        try:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except DatabaseError as error:  # OperationalError, and a file that is no database
            raise Unavailable(f"The database {self.shown} does not answer ({_first_line(error)}); start it, or correct its URL.") from error

    def close(self) -> None:
        self.engine.dispose()


def finish(session: Session) -> None:
    """Commits what a writing session has open, if it has; one that only reads is left alone."""
    if session.info.get(_WRITES) and session.in_transaction():
        BEFORE_COMMIT.reach()
        session.commit()
        AFTER_COMMIT.reach()


def _engine(url: str, called: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("The database URL makes no sense; write sqlite:////path/to/file.db or postgresql://user@host:5432/name.") from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise UsageError(f"The database {parsed.drivername} is not one that Fairlead keeps its records in; use sqlite:///… or postgresql://….")
    try:
        if parsed.drivername == "sqlite":
            return _sqlite(parsed.database, parsed)
        return create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args={"application_name": called})
    except (ModuleNotFoundError, NoSuchModuleError):
        raise UsageError("PostgreSQL needs its driver; install it with `pip install 'fairlead[postgresql]'`.") from None


def _sqlite(path: str | None, url: Any) -> Engine:
    if not path or path == ":memory:":
        raise UsageError("A database in memory would forget everything; write sqlite:////path/to/file.db.")
    make_private(Path(path).parent)
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": BUSY_MILLISECONDS / 1000}, pool_size=10, max_overflow=20)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours to say
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MILLISECONDS}", "cache_size=-16000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("fairlead_writes") else "BEGIN")


def _first_line(error: Exception) -> str:
    return str(error.__cause__ or error).strip().splitlines()[0]

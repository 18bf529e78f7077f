"""Puts a backup into a database and a store: contents first, then every row in one transaction, so a kill leaves the database as it was or whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, Table, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.schema import AddConstraint, DropConstraint

from fairlead.errors import BootFailure, Conflict, UsageError
from fairlead.server import schema, sealing
from fairlead.server.bootstrap import renew_token, settle_token
from fairlead.server.db import Database
from fairlead.server.faults import FaultPoint
from fairlead.server.maintenance import data_files, key_box
from fairlead.server.maintenance.archive import KEY, Manifest, Reader
from fairlead.server.maintenance.moving import tell_anew
from fairlead.server.maintenance.table_rows import read_rows, tables_of
from fairlead.server.migrations.upgrading import changing, run_steps
from fairlead.server.settings import KEY_FILE, Settings
from fairlead.server.tables import Record
from fairlead.stores import Store

READ = FaultPoint("maintenance.restore.before-commit", "every row of a backup was read, none is committed")
OF_A_NEW_SERVER = ("principals", "tokens", "workspaces", "memberships", "idempotency_keys")
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Restored:
    created_at: str
    rows: int
    blobs: int
    key: str
    """restored, kept, or missing."""
    data_files: int = 0


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Where it goes. `node`: the server that services are to run on from now on; None leaves them where they were. `force`: over what is there."""

    settings: Settings
    database: Database
    store: Store
    node: str | None
    force: bool = False


def restore(goal: Goal, path: Path, *, passphrase_file: Path | None, say: Say) -> Restored:
    """Raises UsageError for an archive that is none, Conflict for a database that holds something unless `force`."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UsageError(f"The backup {path} cannot be read ({error.strerror}).") from error
    with stream:
        reader = Reader(stream, str(path))
        say("Checking the backup")
        manifest = reader.check()
        _refuse_unknown(manifest, path)
        _refuse_taken(goal)
        key = _key(reader, manifest, passphrase_file)
        fate = _fate_of_key(goal, key)
        say("Copying contents")
        blobs = _restore_blobs(reader, goal.store)
        files = data_files.restore(goal.settings.data, reader)
        say("Writing the database")
        _restore_rows(goal, reader, manifest, key if fate == "restored" else None)
    return Restored(created_at=manifest.created_at, rows=sum(manifest.rows.values()), blobs=blobs, key=fate, data_files=files)


def _refuse_unknown(manifest: Manifest, path: Path) -> None:
    if manifest.schema not in schema.revisions():
        raise UsageError(
            f"{path} was made by Fairlead {manifest.fairlead}, whose schema {manifest.schema} is newer than this one knows; restore it with that version."
        )


def _refuse_taken(goal: Goal) -> None:
    database = goal.database
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            _refuse_company(connection, database)
        held = [] if goal.force else [table.name for table in tables_of(connection) if _holds_something(connection, table)]
    if held:
        raise Conflict(f"The database {database.shown} holds data already ({', '.join(held[:3])}); --force replaces all of it. Make a backup of it before.")


def _holds_something(connection: Connection, table: Table) -> bool:
    few = 1 if table.name in OF_A_NEW_SERVER else 0
    return (connection.scalar(select(func.count()).select_from(table)) or 0) > few


def _refuse_company(connection: Connection, database: Database) -> None:
    others = connection.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fairlead server'"))
    if others:
        raise Conflict(f"Servers work with the database {database.shown} ({others} connections); stop them all, then restore.")


def _key(reader: Reader, manifest: Manifest, passphrase_file: Path | None) -> bytes | None:
    if passphrase_file is None:
        return None
    if KEY not in manifest.members:
        raise UsageError("The backup holds no master key; restore it without a passphrase, and put the key that it was made with into the state folder.")
    text_of_key = next(stream.read().decode("ascii", "replace") for name, stream, _ in reader.members() if name == KEY)
    return key_box.open_(text_of_key, passphrase_file)


def _restore_blobs(reader: Reader, store: Store) -> int:
    count = 0
    for name, stream, _ in reader.members():
        if name.startswith("blobs/"):
            store.put(stream, expect=name.removeprefix("blobs/"))
            count += 1
    return count


def _fate_of_key(goal: Goal, key: bytes | None) -> str:
    there = sealing.key_of(goal.settings)
    if key is None or key == there:
        return "missing" if there is None else "kept"
    path = goal.settings.state_dir / KEY_FILE
    if there is not None and not (goal.force and path.exists()):
        raise Conflict(f"This server has another master key than the backup; --force puts the backup's in the place of {path}.")
    return "restored"


def _restore_key(settings: Settings, key: bytes) -> None:
    path = settings.state_dir / KEY_FILE
    if path.exists():
        path.replace(path.with_name(f"{KEY_FILE}.before-restore"))
    sealing.keep(path, key)


def _restore_rows(goal: Goal, reader: Reader, manifest: Manifest, key: bytes | None) -> None:
    try:
        with changing(goal.database) as connection:
            _drop(connection)
            run_steps(connection, manifest.schema)
            with _without_references(connection):
                _read_tables(connection, reader, manifest)
            run_steps(connection, schema.revisions()[-1])
            with Session(connection) as session:
                tell_anew(session, goal.node)
                renew_token(session, goal.settings.state_dir)
                session.commit()  # of the session alone: the transaction is the connection's
            READ.reach()
            if key is not None:
                _restore_key(goal.settings, key)
    except SQLAlchemyError as error:
        said = str(error.__cause__ or error).strip().splitlines()[0]
        raise BootFailure(f"The backup's rows do not go into {goal.database.shown} ({said}); the database is as it was.") from error
    with goal.database.reading() as session:
        settle_token(session, goal.settings.state_dir)


def _read_tables(connection: Connection, reader: Reader, manifest: Manifest) -> None:
    tables = {f"tables/{table.name}.jsonl": table for table in tables_of(connection)}
    strange = [name for name in manifest.members if name.startswith("tables/") and name not in tables]
    if strange:
        raise UsageError(f"The backup holds {strange[0]}, which schema {manifest.schema} does not have; use another backup.")
    for name, stream, _ in reader.members():
        if name in tables:
            _read_table(connection, tables[name], stream, manifest)


def _read_table(connection: Connection, table: Table, stream: BinaryIO, manifest: Manifest) -> None:
    count = read_rows(connection, table, stream)
    if count != manifest.rows.get(table.name):
        raise UsageError(f"The backup holds {count} rows of {table.name}, and its manifest says {manifest.rows.get(table.name)}; use another backup.")


def _drop(connection: Connection) -> None:
    """Our tables of any step; foreign keys go first."""
    there = MetaData()
    ours = {*Record.metadata.tables, schema.VERSION_TABLE}
    there.reflect(connection, only=lambda name, _: name in ours)
    there.drop_all(connection)


@contextmanager
def _without_references(connection: Connection) -> Iterator[None]:
    """Rows come table by table, and some refer to later ones. SQLite checks at the end (`changing`); PostgreSQL when the constraints come back."""
    if connection.dialect.name == "sqlite":
        yield
        return
    constraints = [each for table in tables_of(connection) for each in table.constraints if isinstance(each, ForeignKeyConstraint)]
    for each in constraints:
        connection.execute(DropConstraint(each))
    yield
    for each in constraints:
        connection.execute(AddConstraint(each, isolate_from_table=False))

"""A backup: every row as of one moment, and the contents that they need, while servers go on working."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import Connection

from fairlead import __version__
from fairlead.errors import BlobNotFound, UsageError
from fairlead.server import schema, sealing
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.locks import held
from fairlead.server.maintenance import data_files, key_box, references
from fairlead.server.maintenance.archive import KEY, Manifest, Writer, whole_file
from fairlead.server.maintenance.table_rows import tables_of, write_rows
from fairlead.server.settings import Settings
from fairlead.stores import Store

LEFT_OUT = ("idempotency_keys",)
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Made:
    path: str
    bytes: int
    rows: int
    blobs: int
    with_blobs: bool
    with_key: bool
    data_files: int | None = None
    """Of the workspaces' own datastores; None: they are not in it."""
    data_left_out: str | None = None
    """The folder that has them, and that somebody else must save."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """`store`: None leaves the contents out. `key`: the master key, when it is to be part of the backup, and the file of the passphrase to put it under.

    `data`: the folder of the workspaces' own datastores; with_data: whether its files are to be part of the backup.
    """

    database: Database
    store: Store | None
    key: tuple[Settings, Path] | None = None
    data: Path | None = None
    with_data: bool = False


def make(source: Source, path: Path, *, force: bool, say: Say) -> Made:
    """Raises Conflict, UsageError, DigestMismatch, BlobNotFound."""
    database, store = source.database, source.store
    box = _key_box(*source.key) if source.key else None
    with held(database, "maintenance"), whole_file(path, force=force) as stream:  # nothing is swept meanwhile
        writer = Writer(stream)
        with _snapshot(database) as connection:
            say("Reading the database")
            rows = _write_tables(connection, writer)
            revision = schema.revision_of(connection)
            blobs = _write_blobs(connection, store, writer, say) if store is not None else 0
        files = _write_data(source, writer, say)
        if box is not None:
            writer.add_text(KEY, box)
        manifest = Manifest(
            fairlead=__version__,
            schema=str(revision),
            created_at=f"{now():%Y-%m-%dT%H:%M:%SZ}",
            database=database.engine.dialect.name,
            with_blobs=store is not None,
            rows=rows,
            members=dict(writer.members),
        )
        writer.finish(manifest)
        size = stream.tell()
    left_out = str(source.data) if files is None and source.data is not None and data_files.has_files(source.data) else None
    return Made(
        path=str(path),
        bytes=size,
        rows=sum(rows.values()),
        blobs=blobs,
        with_blobs=store is not None,
        with_key=box is not None,
        data_files=files,
        data_left_out=left_out,
    )


def _write_data(source: Source, writer: Writer, say: Say) -> int | None:
    if source.data is None or not source.with_data:
        return None
    say("Copying files of datastores")
    return data_files.write(source.data, writer)


def _key_box(settings: Settings, passphrase_file: Path) -> str:
    key = sealing.key_of(settings)
    if key is None:
        raise UsageError("There is no master key to put into the backup; leave out --with-key.")
    return key_box.close(key, passphrase_file)


def _snapshot(database: Database) -> Connection:
    """All that is read through it is as of one moment."""
    if database.is_sqlite:
        return database.engine.connect()  # its first read decides the moment, in WAL mode
    return database.engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _write_tables(connection: Connection, writer: Writer) -> dict[str, int]:
    rows = {}
    for table in tables_of(connection):
        if table.name in LEFT_OUT:
            continue
        with tempfile.TemporaryFile() as spool:
            rows[table.name] = write_rows(connection, table, cast(BinaryIO, spool))
            size = spool.tell()
            spool.seek(0)
            writer.add(f"tables/{table.name}.jsonl", cast(BinaryIO, spool), size)
    return rows


def _write_blobs(connection: Connection, store: Store, writer: Writer, say: Say) -> int:
    digests = sorted(references.marks(connection, store).union(references.owned(connection)))
    say(f"Copying {len(digests)} contents")
    for digest in digests:
        size = store.size(digest)
        if size is None:
            raise BlobNotFound(f"The content {digest} is not in the store, and something refers to it; see `fairlead server fsck`, or leave contents out.")
        with store.open(digest) as content:
            writer.add(f"blobs/{digest}", content, size)
    return len(digests)

"""`python -m fairlead.server backup FILE`: everything that the server knows in one file, while it runs."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairlead.errors import NotFound, UsageError
from fairlead.server import schema
from fairlead.server.maintenance.backup import Source, make
from fairlead.server.maintenance.progress import say
from fairlead.server.opening import open_files, reach_database
from fairlead.server.settings import Settings
from fairlead.stores import FolderStore


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--blobs", action=BooleanOptionalAction, help="with the contents of the store; as a rule when that is a folder")
    parser.add_argument("--data", action="store_true", help="with the files of the workspaces' own datastores")
    parser.add_argument("--with-key", action="store_true", help="with the master key, under the passphrase")
    parser.add_argument("--passphrase-file", type=Path)
    parser.add_argument("--force", action="store_true", help="replace the file")


def run(settings: Settings, told: Namespace, _flags: dict[str, Any]) -> dict[str, Any]:
    if told.with_key != (told.passphrase_file is not None):
        raise UsageError("The master key goes into a backup under a passphrase: give --with-key and --passphrase-file together, or neither.")
    database, store = reach_database(settings, "fairlead backup"), open_files(settings)
    try:
        with database.engine.connect() as connection:
            if schema.checked_revision(connection, database, schema.revisions()) is None:
                raise NotFound(f"There is nothing to back up: {database.shown} is empty.")
        with_blobs = isinstance(store, FolderStore) if told.blobs is None else told.blobs
        key = (settings, told.passphrase_file) if told.with_key else None
        source = Source(database=database, store=store if with_blobs else None, key=key, data=settings.data, with_data=told.data)
        return asdict(make(source, told.file.absolute(), force=told.force, say=say))
    finally:
        database.close()

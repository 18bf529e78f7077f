"""Acts that no two servers of one database do at once, such as changing its schema: free when their holder dies.

On PostgreSQL an advisory lock of a connection of its own; on SQLite, whose servers share a machine, a locked file beside the database.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from fairlead.errors import BootFailure
from fairlead.server.db import Database

_KEY = "hashtextextended('fairlead.' || :name, 0)"


@contextmanager
def held(database: Database, name: str) -> Iterator[None]:
    """Waits for its turn."""
    with _taken(database, name, wait=True):
        yield


@contextmanager
def held_if_free(database: Database, name: str) -> Iterator[bool]:
    """False at once when somebody else holds it."""
    with _taken(database, name, wait=False) as taken:
        yield taken


@contextmanager
def _taken(database: Database, name: str, *, wait: bool) -> Iterator[bool]:
    if database.is_sqlite:
        with _file(database, name, wait=wait) as taken:
            yield taken
        return
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        asked = f"SELECT pg_advisory_lock({_KEY})" if wait else f"SELECT pg_try_advisory_lock({_KEY})"
        taken = connection.scalar(text(asked), {"name": name}) is not False
        try:
            yield taken
        finally:
            if taken:
                connection.execute(text(f"SELECT pg_advisory_unlock({_KEY})"), {"name": name})


@contextmanager
def _file(database: Database, name: str, *, wait: bool) -> Iterator[bool]:
    path = Path(f"{database.engine.url.database}.{name}-lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BootFailure(f"{path} cannot be written ({error.strerror}); give the server's user the right to write in {path.parent}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        yield False
        return
    try:
        yield True
    finally:
        os.close(handle)

"""The schema that a database has, and the one that this version needs. Alembic is only imported when there is something to do: it takes long to import."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from fairlead import __version__
from fairlead.errors import BootFailure
from fairlead.server.db import Database
from fairlead.server.tables import Record

VERSION_TABLE = "schema_version"
FOLDER = Path(__file__).with_name("migrations")
_STEP = re.compile(r"(\d{4})_\w+")


def revisions(folder: Path = FOLDER) -> list[str]:
    """Every step there is, the oldest first: each file's name begins with its number."""
    names = sorted(path.stem for path in (folder / "versions").glob("*.py"))
    return [found[1] for name in names if (found := _STEP.fullmatch(name))]


def revision_of(connection: Connection) -> str | None:
    """The step that the database is at; None when it has no schema of ours."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a name of our own
    return found


def ensure(database: Database, folder: Path = FOLDER) -> bool:
    """The newest schema: True when this call brought the database to it. Servers that start at once wait for each other.

    Raises BootFailure for a schema that is newer than this version, and for a database of somebody else.
    """
    steps = revisions(folder)
    with database.engine.connect() as connection:
        if checked_revision(connection, database, steps) == steps[-1]:
            return False
    upgrading = importlib.import_module("fairlead.server.migrations.upgrading")
    done: bool = upgrading.upgrade(database, steps[-1], folder)
    return done


def checked_revision(connection: Connection, database: Database, steps: Sequence[str]) -> str | None:
    """Raises BootFailure for a schema that is none of ours, or newer."""
    found = revision_of(connection)
    if found is None:
        _refuse_foreign(database, connection)
    elif found not in steps:
        raise BootFailure(
            f"The database {database.shown} has the schema {found}, which is newer than this Fairlead {__version__} (schema {steps[-1]}) knows. "
            "Start the newer Fairlead again (`pip install --upgrade fairlead`), or restore a backup from before its upgrade."
        )
    return found


def _refuse_foreign(database: Database, connection: Connection) -> None:
    taken = sorted(set(inspect(connection).get_table_names()) & set(Record.metadata.tables))
    if taken:
        raise BootFailure(f"The database {database.shown} has tables of another program ({', '.join(taken[:3])}); give Fairlead a database of its own.")

"""Brings a database to a newer schema: all steps in one transaction, so a kill at any moment leaves the old schema or the new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from fairlead.errors import BootFailure
from fairlead.server import schema
from fairlead.server.db import Database
from fairlead.server.faults import FaultPoint
from fairlead.server.locks import held

STEP_DONE = FaultPoint("schema.step-done", "one step of several was done, none is committed")
BEFORE_COMMIT = FaultPoint("schema.before-commit", "all steps were done, none is committed")
AFTER_COMMIT = FaultPoint("schema.after-commit", "the new schema is there, nobody has used it")


def upgrade(database: Database, to: str, folder: Path = schema.FOLDER) -> bool:
    """False when another server has done it meanwhile. Raises BootFailure with what the database said."""
    try:
        with changing(database) as connection:
            if schema.checked_revision(connection, database, schema.revisions(folder)) == to:
                return False
            run_steps(connection, to, folder)
            BEFORE_COMMIT.reach()
    except SQLAlchemyError as error:
        said = str(error.__cause__ or error).strip().splitlines()[0]
        raise BootFailure(f"The schema of {database.shown} could not be brought up to date ({said}); nothing of it was changed.") from error
    AFTER_COMMIT.reach()
    return True


@contextmanager
def changing(database: Database) -> Iterator[Connection]:
    """One transaction that no other server's upgrade runs beside."""
    with held(database, "schema"), database.engine.connect() as connection:
        if database.is_sqlite:
            connection.detach()  # foreign keys are off until it is closed: SQLite makes a new table for many a change
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        with connection.execution_options(fairlead_writes=True).begin():
            yield connection
            if database.is_sqlite:
                _check_references(connection)


def run_steps(connection: Connection, to: str, folder: Path = schema.FOLDER) -> None:
    script = ScriptDirectory(str(folder))

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs(to, revision)  # what Alembic's own `upgrade` command does

    with EnvironmentContext(Config(), script, fn=steps, destination_rev=to) as environment:
        environment.configure(
            connection=connection,
            version_table=schema.VERSION_TABLE,
            transactional_ddl=True,  # of SQLite too, because BEGIN is ours to say
            render_as_batch=True,
            on_version_apply=lambda **_: STEP_DONE.reach(),
        )
        environment.run_migrations()


def _check_references(connection: Connection) -> None:
    lost = connection.execute(text("PRAGMA foreign_key_check")).fetchall()
    if lost:
        raise BootFailure(f"The database would hold {len(lost)} rows of {lost[0][0]} that refer to nothing; nothing was changed. Run `fairlead server fsck`.")

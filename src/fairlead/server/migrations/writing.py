"""Writes the next step of the schema's history from what the tables say: `scripts/migration "message"`. For contributors; no server runs it."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from fairlead.server import schema
from fairlead.server.db import Database
from fairlead.server.migrations.upgrading import upgrade
from fairlead.server.tables import Record, guards
from fairlead.server.tables.record import Moment

_PAGE = '''"""{message}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
{imports}
revision = "{revision}"
down_revision: str | None = {before}


def upgrade() -> None:
    {body}
'''


def differences(connection: Connection) -> list[Any]:
    """What the tables say and the database does not have, or the other way round; the triggers are compared by name."""
    found = list(compare_metadata(_context(connection), Record.metadata))
    return found + [("missing trigger", name) for name in _missing_guards(connection)]


def write(message: str, folder: Path = schema.FOLDER, *, first: bool = False) -> Path | None:
    """The file of the new step; None when there is nothing to write. `first` writes the first step anew, and refuses when there is a second."""
    steps = schema.revisions(folder)
    if first and len(steps) > 1:
        raise SystemExit("migration: the first step has successors, so databases may be at it; write a new step instead.")
    before = None if first else steps[-1]
    with tempfile.TemporaryDirectory() as scratch:
        database = Database(f"sqlite:///{scratch}/schema.db")
        if before is not None:
            upgrade(database, before, folder)
        with database.engine.connect() as connection:
            imports, body = _rendered(connection, batch=not first)
        database.close()
    if not body:
        return None
    revision = f"{int(before or 0) + 1:04d}"
    page = _PAGE.format(message=message.rstrip(".") + ".", imports=imports, revision=revision, before=repr(before).replace("'", '"'), body=body)
    path = folder / "versions" / f"{revision}_{'first' if first else _slug(message)}.py"
    path.write_text(page, encoding="utf-8")
    return path


def _context(connection: Connection) -> MigrationContext:
    options = {"compare_type": True, "compare_server_default": True, "render_item": _render, "version_table": schema.VERSION_TABLE}
    return MigrationContext.configure(connection, opts={**options, "target_metadata": Record.metadata})


def _rendered(connection: Connection, *, batch: bool) -> tuple[str, str]:
    """`batch`: changes of a table as SQLite can do them."""
    context = _context(connection)
    made = produce_migrations(context, Record.metadata)
    assert made.upgrade_ops is not None
    body = render_python_code(made.upgrade_ops, render_as_batch=batch, render_item=_render, migration_context=context)
    body = body.replace("JSONB(astext_type=Text())", "JSONB()")
    lines = [line for line in body.splitlines() if not line.strip().startswith("#")]
    lines = [] if [line.strip() for line in lines] == ["pass"] else lines
    guarded = _guard_lines(_missing_guards(connection))
    imports = "from sqlalchemy.dialects import postgresql\n" if "postgresql." in body else ""
    return imports, "\n".join([*lines, *guarded]).strip()


def _missing_guards(connection: Connection) -> list[str]:
    """Tables whose triggers the database lacks."""
    if connection.dialect.name == "sqlite":
        asked = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        asked = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    there = set(connection.scalars(text(asked)))
    wanted = guards.sqlite_triggers if connection.dialect.name == "sqlite" else guards.postgresql_triggers
    return [table for table in guards.APPEND_ONLY if not {name for name in wanted(table) if not name.endswith("_refuse")} <= there]


def _guard_lines(tables: list[str]) -> list[str]:
    lines = []
    for table in tables:
        lines.append('    if op.get_bind().dialect.name == "sqlite":')
        lines += [f"        op.execute({statement!r})" for statement in guards.sqlite_triggers(table).values()]
        lines.append("    else:")
        lines += [f"        op.execute({statement!r})" for statement in guards.postgresql_triggers(table).values()]
    return lines


def _render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """A step does not depend on classes that may change after it."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


def _slug(message: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:50] or "step"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/migration", description="Write the next step of the schema's history from what the tables say.")
    parser.add_argument("message", nargs="?", help="what changes, in a few words")
    parser.add_argument("--rewrite-first", action="store_true", help="write the first step anew, while nothing is released")
    told = parser.parse_args(arguments)
    if bool(told.message) == told.rewrite_first:
        parser.error("give a message, or --rewrite-first")
    written = write(told.message or "The first schema", first=told.rewrite_first)
    sys.stdout.write(f"{written}\n" if written else "")
    sys.stderr.write("" if written else "migration: the tables say what the last step does; nothing to write.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

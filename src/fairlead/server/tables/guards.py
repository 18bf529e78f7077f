"""What the database itself refuses, whoever asks: rows of the logs below are neither changed nor removed.

Triggers are no part of SQLAlchemy's metadata, so they are named here, for `create_all`, for migrations, and for the test that compares the two.
"""

from __future__ import annotations

from sqlalchemy import DDL, MetaData, event

APPEND_ONLY = ("audit_events", "model_events")
_SAID = "rows of {table} are only ever added"


def sqlite_triggers(table: str) -> dict[str, str]:
    said = _SAID.format(table=table)
    return {
        f"{table}_no_{act}": f"CREATE TRIGGER {table}_no_{act} BEFORE {act.upper()} ON {table} BEGIN SELECT RAISE(ABORT, '{said}'); END"
        for act in ("update", "delete")
    }


def postgresql_triggers(table: str) -> dict[str, str]:
    """The function first; each statement can be said again."""
    said = _SAID.format(table=table)
    function = f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{said}'; END $$"
    trigger = (
        f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"
    )
    return {f"{table}_refuse": function, f"{table}_append_only": trigger}


def attach(metadata: MetaData) -> None:
    """`create_all` makes them with their tables."""
    for name in APPEND_ONLY:
        for dialect, triggers in (("sqlite", sqlite_triggers(name)), ("postgresql", postgresql_triggers(name))):
            for statement in triggers.values():
                event.listen(metadata.tables[name], "after_create", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]

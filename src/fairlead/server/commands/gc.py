"""`python -m fairlead.server gc`: clears up what nobody needs, now."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import Any

from fairlead.errors import Conflict, NotFound
from fairlead.server import schema
from fairlead.server.maintenance.progress import say
from fairlead.server.maintenance.sweeping import Parts, sweep_all
from fairlead.server.opening import open_files, reach_database
from fairlead.server.settings import Settings


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and leave it")


def run(settings: Settings, told: Namespace, _flags: dict[str, Any]) -> dict[str, Any]:
    database = reach_database(settings, "fairlead gc")
    try:
        with database.engine.connect() as connection:
            if schema.checked_revision(connection, database, schema.revisions()) is None:
                raise NotFound(f"There is nothing to clear up: {database.shown} is empty.")
        say("Looking for what nobody needs")
        summary = sweep_all(Parts(settings, database, open_files(settings)), dry_run=told.dry_run)
    finally:
        database.close()
    if summary is None:
        raise Conflict("A backup is being made, or somebody else clears up at this moment; try again when that is over.")
    return asdict(summary)

"""`python -m fairlead.server fsck`: what does not fit together, with its cure."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import Any

from fairlead.errors import NotFound
from fairlead.server import schema, sealing
from fairlead.server.locks import held
from fairlead.server.maintenance.checking import check
from fairlead.server.maintenance.findings import Ground
from fairlead.server.maintenance.progress import say
from fairlead.server.opening import open_files, reach_database
from fairlead.server.sealing import Seal
from fairlead.server.settings import Settings


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="read every content and compare its digest")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended without losing anything")


def run(settings: Settings, told: Namespace, _flags: dict[str, Any]) -> dict[str, Any]:
    database, store = reach_database(settings, "fairlead fsck"), open_files(settings)
    key = sealing.key_of(settings)
    try:
        with held(database, "maintenance"), database.engine.connect() as connection:  # nothing is swept while it is looked for
            if schema.checked_revision(connection, database, schema.revisions()) is None:
                raise NotFound(f"There is nothing to check: {database.shown} is empty.")
            seal = Seal(key) if key is not None else None
            ground = Ground(settings=settings, database=database, store=store, seal=seal, connection=connection, deep=told.deep)
            report = check(ground, say, repair=told.repair)
    finally:
        database.close()
    return {"findings": [asdict(each) for each in report.findings], "checked": report.checked}

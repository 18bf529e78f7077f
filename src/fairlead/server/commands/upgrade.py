"""`python -m fairlead.server upgrade`: the database to this version's schema, as each start does it by itself."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from fairlead.server import schema
from fairlead.server.opening import reach_database
from fairlead.server.settings import Settings


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(settings: Settings, _told: Namespace, _flags: dict[str, Any]) -> dict[str, Any]:
    database = reach_database(settings, "fairlead upgrade")
    try:
        with database.engine.connect() as connection:
            before = schema.revision_of(connection)
        changed = schema.ensure(database)
        return {"before": before, "now": schema.revisions()[-1], "changed": changed}
    finally:
        database.close()

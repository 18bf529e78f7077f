"""`python -m fairlead.server restore FILE`: a backup into an empty database, or in the place of what is there."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairlead.server.maintenance.progress import say
from fairlead.server.maintenance.restoring import Goal, restore
from fairlead.server.node import Node
from fairlead.server.opening import open_files, reach_database
from fairlead.server.presence import Presence
from fairlead.server.settings import Settings


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--passphrase-file", type=Path, help="of the master key in the backup")
    parser.add_argument("--take-over", action=BooleanOptionalAction, help="services are to run on this machine from now on; as a rule with SQLite")
    parser.add_argument("--force", action="store_true", help="replace what the database holds")


def run(settings: Settings, told: Namespace, _flags: dict[str, Any]) -> dict[str, Any]:
    presence = Presence(settings.state_dir)
    node = Node(settings.state_dir)
    try:
        database = reach_database(settings, "fairlead restore")
        takes_over = database.is_sqlite if told.take_over is None else told.take_over
        goal = Goal(settings=settings, database=database, store=open_files(settings), node=node.id if takes_over else None, force=told.force)
        try:
            return asdict(restore(goal, told.file.absolute(), passphrase_file=told.passphrase_file, say=say))
        finally:
            database.close()
    finally:
        node.close()
        presence.leave()

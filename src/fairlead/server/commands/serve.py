"""`python -m fairlead.server [serve]`: one control plane on one address, until SIGTERM."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from fairlead.server import main
from fairlead.server.settings import Settings


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--remember", action="store_true", help="the next start of this state folder's server is told the same")


def run(settings: Settings, told: Namespace, flags: dict[str, Any]) -> None:
    main.run(settings, flags if told.remember else {})

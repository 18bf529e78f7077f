"""`python -m fairlead.server logs`: the last lines of the log, and those to come."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from fairlead.errors import NotFound, UsageError
from fairlead.server.settings import Settings
from fairlead.targets.lines import Filter
from fairlead.targets.local.log import follow, last_lines


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--tail", type=int, default=100, help="how many lines")
    parser.add_argument("--follow", action="store_true", help="go on with each line that is added")
    parser.add_argument("--request-id", help="lines of this request only")


def run(settings: Settings, told: Namespace, _flags: dict[str, Any]) -> None:
    path = settings.log_path
    if path is None:
        raise UsageError("This server writes its log to standard error, where whoever started it keeps it; give it a file with --log-file.")
    if not path.exists():
        raise NotFound(f"There is no log {path} yet; `fairlead server start` starts the server that writes it.")
    wanted = Filter(request_id=told.request_id)
    lines = follow(path, told.tail, wanted, lambda: False) if told.follow else iter(last_lines(path, told.tail, wanted))
    for line in lines:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()

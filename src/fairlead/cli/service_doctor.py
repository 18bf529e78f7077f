"""`fairlead service doctor`: the first thing that is wrong with a service, the lines that show it, and the cure."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.service_names import Id, Name, Words, find, said_name
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.sdk.diagnosing import diagnose
from fairlead.sdk.diagnosis import Finding, Step

KeyFile = Annotated[Path | None, typer.Option("--key-file", metavar="FILE", help="A key or token to try, instead of the service's own.")]
MARKS = {True: Text("✓", style="green"), False: Text("✗", style="bold red"), None: Text("-", style="dim")}
WIDTH = max(len(step.value) for step in Step)


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    key_file: KeyFile = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Go through a service from server to answer; stop at the first thing that is wrong, with its log lines and its cure.

    Exit code 0: it is well. 3: it cannot serve. 5: a token, key or role is refused. 6: the server or the service cannot be reached, or is on its way.

    \b
    fairlead service doctor churn
    fairlead service doctor churn --key-file key.txt --json
    """
    asked = said_name(words, name, identity)
    key = _key(key_file) if key_file else None
    output = Output(as_json=as_json, quiet=quiet)
    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    found: list[Finding] = []
    for each in diagnose(partial(connect, workspace=workspace), partial(find, words=words, name=name, identity=identity), key=key):
        found.append(each)
        if not (as_json or quiet):
            console.print(_line(each))
    last = found[-1]
    if as_json or quiet:
        first = None if last.is_well is not False else last.step.value
        output.result(
            {"service": asked, "healthy": first is None, "first_wrong": first, "checks": [each.to_json() for each in found]}, short=first or "healthy"
        )
    else:
        _show_end(console, asked, last)
    raise typer.Exit(last.exit_code if last.is_well is False else 0)


def _line(found: Finding) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for width in (1, WIDTH):
        table.add_column(width=width, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(MARKS[found.is_well], Text(found.step.value), Text(found.said, style="" if found.is_well is False else "dim"))
    return table


def _show_end(console: Console, name: str, last: Finding) -> None:
    console.print()
    if last.is_well is not False:
        console.print(Text(f"{name} is well."))
        return
    if last.log_lines:
        console.print(Text("Its log", style="dim"))
        for line in last.log_lines:
            console.print(Text(f"  {line}"), soft_wrap=True)
        console.print()
    console.print(Text("What to do", style="dim"))
    console.print(Padding(Text(last.cure), (0, 0, 0, 2)))


def _key(path: Path) -> str:
    try:
        said = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); name a file with a key or token in it.") from error
    if not said:
        raise UsageError(f"{path} is empty; write a key or token into it.")
    return said

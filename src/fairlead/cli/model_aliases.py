"""`fairlead model alias`: names that move from version to version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.client import models
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas.models import HistoryEvent
from fairlead.schemas.references import parse_reference

app = typer.Typer(no_args_is_help=True, help="Names that move from version to version, such as churn@champion.")
Workspace = Annotated[str | None, typer.Option("--workspace", "-w", help="Workspace (default: the configured one).")]
Alias = Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="Such as churn@champion.")]


@app.command("set")
def set_(
    alias: Alias,
    version: Annotated[str, typer.Argument(help="A number, latest, or @ALIAS of the same model.")],
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make an alias, or move it to another version.

    Example: fairlead model alias set churn@champion 3
    """
    name, word = _parts(alias)
    with connect(workspace=workspace) as transport:
        found = models.move_alias(transport, parse_reference(name, version), word)
    Output(as_json=as_json, quiet=quiet).result(found, short=f"{found.name}:{found.version}", lines=[(alias, f"{found.name}:{found.version}")])


@app.command("list")
def list_(name: Annotated[str, typer.Argument(help="Of the model.")], workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the aliases of a model.

    Example: fairlead model alias list churn
    """
    with connect(workspace=workspace) as transport:
        found = list(models.each_alias(transport, parse_reference(name).name))
    rows = [(f"{each.name}@{each.alias}", each.version, each.updated_at) for each in found]
    Output(as_json=as_json, quiet=quiet).table(found, ("ALIAS", "VERSION", "MOVED"), rows, empty=f"{name} has no aliases.")


@app.command()
def delete(alias: Alias, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Delete an alias; its history stays.

    Example: fairlead model alias delete churn@challenger
    """
    name, word = _parts(alias)
    with connect(workspace=workspace) as transport:
        models.delete_alias(transport, name, word)
    Output(as_json=as_json, quiet=quiet).result({"deleted": alias}, short=alias, lines=[("Deleted", alias)])


@app.command()
def history(alias: Alias, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show where an alias was, and who moved it.

    Example: fairlead model alias history churn@champion
    """
    name, word = _parts(alias)
    with connect(workspace=workspace) as transport:
        found = list(models.each_alias_event(transport, name, word))
    show_events(Output(as_json=as_json, quiet=quiet), found)


def show_events(output: Output, found: Sequence[HistoryEvent]) -> None:
    rows = [(each.at, each.event, each.version, each.principal, {name: value for name, value in each.details.items() if name != "use"}) for each in found]
    output.table(found, ("TIME", "EVENT", "VERSION", "BY", "DETAILS"), rows, empty="Nothing has happened yet.")


def _parts(said: str) -> tuple[str, str]:
    found = parse_reference(said)
    if not found.version.startswith("@"):
        raise UsageError(f"{said!r} names no alias; write NAME@ALIAS, such as churn@champion.")
    return found.name, found.version[1:]

"""`fairlead audit`: who did what."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Annotated

import typer

from fairlead.cli.output import AsJson, InWorkspace, Output, Quiet
from fairlead.cli.times import parse_moment
from fairlead.client import access
from fairlead.client.connection import connect

app = typer.Typer(no_args_is_help=True, help="The audit log: written with each change, never changed itself.")


@app.callback()
def _noun() -> None:
    """A noun with one command is still a noun."""


@app.command("list")
def list_(
    who: Annotated[str | None, typer.Option(help="Done by this person or program.")] = None,
    action: Annotated[str | None, typer.Option(help="A verb, such as create or set-role.")] = None,
    kind: Annotated[str | None, typer.Option(help="A noun, such as service or token.")] = None,
    about: Annotated[str | None, typer.Option(help="Name or id of what it was done to.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="At or after, such as 2026-07-01 or 2h (ago).")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before.")] = None,
    request_id: Annotated[str | None, typer.Option(help="The x-request-id of the request that did it.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most.")] = 50,
    server: Annotated[bool, typer.Option("--server", help="Of all workspaces and the server itself; for administrators.")] = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List who did what, when and from where, newest first; for owners.

    Example: fairlead audit list --kind service --since 24h
    """
    asked: dict[str, str | datetime | None] = {"who": who, "action": action, "kind": kind, "about": about, "request_id": request_id}
    asked |= {"since": parse_moment(since) if since else None, "until": parse_moment(until) if until else None}
    with connect(workspace=workspace) as transport:
        found = list(islice(access.list_audit(transport, of_server=server, **asked), limit))
    rows = [(each.at, each.principal, each.action, each.kind, each.name, each.remote, each.request_id) for each in found]
    columns = ("TIME (UTC)", "WHO", "ACTION", "KIND", "NAME", "FROM", "REQUEST")
    if quiet:
        columns, rows = ("ID",), [(each.id,) for each in found]  # type: ignore[assignment,misc]
    Output(as_json=as_json, quiet=quiet).table(found, columns, rows, empty="Nothing is recorded that is like that.")

"""`fairlead connect`: which server, which workspace, from now on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.client import access, connection
from fairlead.client.transport import Transport
from fairlead.errors import UsageError
from fairlead.schemas.access import Myself


def connect(
    url: Annotated[str | None, typer.Argument(help="The server's address; without one, show what is chosen.")] = None,
    token_file: Annotated[Path | None, typer.Option("--token-file", help="Where the token is; default: read it from standard input and keep it.")] = None,
    workspace: Annotated[str | None, typer.Option("--workspace", "-w", help="The workspace; default: the only one that you may enter, or `default`.")] = None,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="PEM file of the authority that signed the server's certificate.")] = None,
    local: Annotated[bool, typer.Option("--local", help="Forget the server: back to the one of this machine.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Choose the server and workspace that commands and the SDK talk to, and show who you are there.

    Example: fairlead connect https://fairlead.example.org --token-file ~/.fairlead-token --workspace fraud
    """
    output = Output(as_json=as_json, quiet=quiet)
    if local:
        if url or token_file or ca_file:
            raise UsageError("--local goes without a server; leave out one of them.")
        connection.choose(connection.Choice(workspace=workspace))
    elif url is None:
        if token_file or ca_file or workspace:
            raise UsageError("Which server? Write `fairlead connect URL --token-file FILE`, or --local for the one of this machine.")
    else:
        _choose(url, token_file, workspace, ca_file)
    with connection.connect() as transport:
        _show(output, transport, access.show_me(transport))


def _choose(url: str, token_file: Path | None, workspace: str | None, ca_file: Path | None) -> None:
    """Nothing is kept before the server has said whose token it is."""
    token = connection.read_token(token_file) if token_file else _given()
    authority = ca_file.absolute() if ca_file else None
    with Transport(connection.checked_url(url), token, trust=authority) as transport:
        where = _workspace(access.show_me(transport), workspace)
    kept = token_file.absolute() if token_file else connection.keep_token(token)
    connection.choose(connection.Choice(url=connection.checked_url(url), workspace=where, token_file=kept, ca_file=authority))


def _given() -> str:
    token = str(typer.prompt("Token", hide_input=True, err=True)) if sys.stdin.isatty() else sys.stdin.readline()
    if not token.strip():
        raise UsageError("There is no token: name its file with --token-file, or give it on standard input.")
    return token.strip()


def _workspace(me: Myself, asked: str | None) -> str:
    if asked is None:
        return next(iter(me.workspaces)) if len(me.workspaces) == 1 else "default"
    if asked not in me.workspaces and not me.is_admin:
        raise UsageError(f"{me.principal} may not enter a workspace {asked!r}; there are: {', '.join(me.workspaces) or 'none'}.")
    return asked


def _show(output: Output, transport: Transport, me: Myself) -> None:
    role = me.workspaces.get(transport.workspace) or ("administrator" if me.is_admin else "no member")
    facts: dict[str, Any] = {"url": transport.url, "workspace": transport.workspace, "principal": me.principal, "role": role}
    facts |= {"is_admin": me.is_admin, "token": me.token, "expires_at": me.expires_at}
    lines = [("Server", transport.url), ("Workspace", transport.workspace), ("You are", me.principal), ("Role", role)]
    output.result(facts, short=transport.url, lines=[*lines, ("Token", me.token), ("Expires", me.expires_at or "never")])

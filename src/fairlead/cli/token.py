"""`fairlead token`: API tokens of people and programs."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.cli.output import AsJson, InWorkspace, Output, Quiet
from fairlead.cli.times import parse_duration
from fairlead.client import access
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas.access import MadeToken, NewServerToken, NewToken, Token

app = typer.Typer(no_args_is_help=True, help="API tokens: shown once, kept as hashes, revocable at once.")

OfServer = Annotated[bool, typer.Option("--server", help="Tokens that reach every workspace of their principal; for administrators.")]


@app.command()
def create(
    principal: Annotated[str, typer.Argument(help="The person or program that it speaks for, made if new.")],
    name: Annotated[str | None, typer.Option("--name", "-n", help="What it is listed as; default: the principal's name.")] = None,
    role: Annotated[str | None, typer.Option(help="reader, contributor or owner, from now on; default: as it is, and contributor for a new member.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="DURATION", help="Such as 12h or 90d; default: never.")] = None,
    person: Annotated[bool, typer.Option("--person", help="A new principal is a person, not a program.")] = False,
    server: OfServer = False,
    admin: Annotated[bool | None, typer.Option("--admin/--no-admin", help="With --server: make the principal an administrator, or end it.")] = None,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a token for a workspace and show it, this once.

    Example: fairlead token create ci-bot --role contributor --expires 90d
    """
    said = {"name": name or principal, "principal": principal}
    if person:
        said["kind"] = "person"
    seconds = parse_duration(expires) if expires is not None else None
    with connect(workspace=workspace) as transport:
        if server:
            if role is not None:
                raise UsageError("--role is for tokens of one workspace; with --server, give roles with `fairlead workspace add`.")
            made = access.create_server_token(transport, NewServerToken.of(**said, admin=admin, expires_in_seconds=seconds))
        else:
            if admin is not None:
                raise UsageError("--admin needs --server: an administrator's token is not for one workspace.")
            made = access.create_token(transport, NewToken.of(**said, role=role, expires_in_seconds=seconds))
    _show(Output(as_json=as_json, quiet=quiet), made)


@app.command("list")
def list_(
    principal: Annotated[str | None, typer.Option(help="Of this person or program only.")] = None,
    active: Annotated[bool, typer.Option("--active", help="Leave out those that are revoked or expired.")] = False,
    server: OfServer = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List tokens, newest first, with their last use.

    Example: fairlead token list --active
    """
    with connect(workspace=workspace) as transport:
        found = list(access.list_tokens(transport, of_server=server, principal=principal, active=active or None))
    rows = [(each.id, each.name, each.principal, _state(each), each.last_used_at) for each in found]
    columns = ("ID", "NAME", "PRINCIPAL", "STATE", "LAST USED")
    Output(as_json=as_json, quiet=quiet).table(found, columns, rows, empty="There are no such tokens; `fairlead token create NAME` makes one.")


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As the list shows it.")],
    server: OfServer = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """End a token, at once and for good.

    Example: fairlead token revoke 0199a2c4-7d1e-7c3a-9b1f-2f6f0f6f7a10
    """
    with connect(workspace=workspace) as transport:
        ended = access.revoke_token(transport, token_id, of_server=server)
    output = Output(as_json=as_json, quiet=quiet)
    output.result(ended, short=ended.id if quiet else f"The token {ended.name!r} of {ended.principal} is revoked.")


def _show(output: Output, made: MadeToken) -> None:
    lines = [("Token", made.token), ("For", made.principal), ("Workspace", made.workspace or "all of theirs"), ("Expires", made.expires_at or "never")]
    output.result(made, short=made.token, lines=[*lines, ("Id", made.id)])
    output.say("Shown this once. Use it with FAIRLEAD_TOKEN, or `fairlead connect`.")


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is None:
        return "active"
    return f"{'expired' if token.has_expired() else 'until'} {token.expires_at:%Y-%m-%d %H:%M}"

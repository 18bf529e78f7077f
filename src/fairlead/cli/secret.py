"""`fairlead secret`: what services need to know and nobody should read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.output import AsJson, InWorkspace, Output, Quiet
from fairlead.client import access
from fairlead.client.connection import connect
from fairlead.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Secrets of a workspace: given to services as files, never shown again.")

Name = Annotated[str, typer.Argument(help="The secret's name, and that of its file.")]


@app.command("set")
def set_(
    name: Name,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Whose content is the value, to the byte; default: standard input, or a prompt.")] = None,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make or change a secret. Its value is never an argument, which other users of the machine could read.

    A service gets it with its next revision. From standard input, one newline at the end is not part of the value.

    Example: fairlead secret set db.password --file password.txt
    """
    value = _of_file(file) if file is not None else _of_input()
    with connect(workspace=workspace) as transport:
        kept = access.set_secret(transport, name, value)
    Output(as_json=as_json, quiet=quiet).result(kept, short=kept.name if quiet else f"The secret {kept.name!r} is set.")


@app.command("list")
def list_(workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the names of secrets.

    Example: fairlead secret list
    """
    with connect(workspace=workspace) as transport:
        found = list(access.list_secrets(transport))
    rows = [(each.name, each.created_by, each.updated_at) for each in found]
    Output(as_json=as_json, quiet=quiet).table(found, ("NAME", "BY", "SET"), rows, empty="There are no secrets; `fairlead secret set NAME` makes one.")


@app.command()
def delete(name: Name, workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Delete a secret; services that have it keep it until their next revision.

    Example: fairlead secret delete db.password
    """
    with connect(workspace=workspace) as transport:
        access.delete_secret(transport, name)
    Output(as_json=as_json, quiet=quiet).result({"deleted": name}, short=name if quiet else f"The secret {name!r} is deleted.")


def _of_file(file: Path) -> str:
    try:
        return _text(file.read_bytes(), str(file))
    except OSError as error:
        raise UsageError(f"The file {file} cannot be read ({error.strerror}); name one that can.") from error


def _of_input() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Value", hide_input=True))
    return _text(sys.stdin.buffer.read(), "standard input").removesuffix("\n")


def _text(content: bytes, source: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{source} is no UTF-8 text; encode bytes as text first, such as with base64.") from None

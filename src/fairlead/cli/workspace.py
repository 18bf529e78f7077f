"""`fairlead workspace`: workspaces and who is in them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairlead.cli.output import AsJson, InWorkspace, Output, Quiet, size
from fairlead.client import access
from fairlead.client.connection import connect
from fairlead.schemas.access import MemberChange, NewWorkspace, Workspace, WorkspaceChange

app = typer.Typer(no_args_is_help=True, help="Workspaces: names and rights of a team, apart from those of others.")

Name = Annotated[str, typer.Argument(help="The workspace.")]
Principal = Annotated[str, typer.Argument(help="The person or program.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens, 2 to 32.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a workspace; for administrators, who become its first owner.

    Example: fairlead workspace create fraud --description "The fraud team"
    """
    with connect() as transport:
        made = access.create_workspace(transport, NewWorkspace.of(name=name, description=description))
    Output(as_json=as_json, quiet=quiet).result(made, short=made.name, lines=_lines(made))


@app.command("list")
def list_(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the workspaces that you may enter.

    Example: fairlead workspace list
    """
    with connect() as transport:
        found = list(access.list_workspaces(transport))
    rows = [(each.name, each.role or "administrator", each.description, each.created_at) for each in found]
    Output(as_json=as_json, quiet=quiet).table(found, ("NAME", "ROLE", "DESCRIPTION", "CREATED"), rows, empty="There is none that you may enter; ask an owner.")


@app.command()
def show(name: Annotated[str | None, typer.Argument(help="Default: the configured one.")] = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show one workspace and your role in it.

    Example: fairlead workspace show fraud
    """
    with connect(workspace=name) as transport:
        found = access.show_workspace(transport, transport.workspace)
    Output(as_json=as_json, quiet=quiet).result(found, short=found.name, lines=_lines(found))


@app.command()
def change(
    name: Name,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    quota_bytes: Annotated[int | None, typer.Option(help="How much it may store; for administrators. 0: no limit.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Change a workspace's description or quota.

    Example: fairlead workspace change fraud --quota-bytes 50000000000
    """
    said: dict[str, Any] = {"description": description} if description is not None else {}
    if quota_bytes is not None:
        said["quota_bytes"] = quota_bytes or None
    with connect() as transport:
        changed = access.change_workspace(transport, name, WorkspaceChange.of(**said))
    Output(as_json=as_json, quiet=quiet).result(changed, short=changed.name, lines=_lines(changed))


@app.command()
def delete(name: Name, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Delete a workspace in which no service lives; its tokens end with it.

    Example: fairlead workspace delete fraud
    """
    with connect() as transport:
        access.delete_workspace(transport, name)
    Output(as_json=as_json, quiet=quiet).result({"deleted": name}, short=name if quiet else f"The workspace {name!r} is deleted.")


@app.command()
def members(workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List who is in a workspace, and as what.

    Example: fairlead workspace members -w fraud
    """
    with connect(workspace=workspace) as transport:
        found = list(access.list_members(transport))
    rows = [(each.principal, each.role, each.kind) for each in found]
    Output(as_json=as_json, quiet=quiet).table(found, ("PRINCIPAL", "ROLE", "KIND"), rows, empty="Nobody is in it.")


@app.command()
def add(
    principal: Principal,
    role: Annotated[str, typer.Option(help="reader, contributor or owner.")] = "contributor",
    program: Annotated[bool, typer.Option("--program", help="A new principal is a program, not a person.")] = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Give somebody a role in a workspace, or another one than before.

    Example: fairlead workspace add ann@example.org --role owner -w fraud
    """
    change = MemberChange.of(role=role, kind="program" if program else "person")
    with connect(workspace=workspace) as transport:
        member = access.set_member(transport, principal, change)
        where = transport.workspace
    output = Output(as_json=as_json, quiet=quiet)
    output.result(member, short=member.principal if quiet else f"{member.principal} is {member.role} of the workspace {where!r}.")


@app.command()
def remove(principal: Principal, workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Take somebody out of a workspace; their tokens for it end at once.

    Example: fairlead workspace remove ann@example.org -w fraud
    """
    with connect(workspace=workspace) as transport:
        access.remove_member(transport, principal)
        where = transport.workspace
    output = Output(as_json=as_json, quiet=quiet)
    output.result({"removed": principal}, short=principal if quiet else f"{principal} is no member of the workspace {where!r} any more.")


def _lines(found: Workspace) -> list[tuple[str, Any]]:
    return [
        ("Workspace", found.name),
        ("Description", found.description),
        ("Your role", found.role or "administrator"),
        ("Stored", size(found.used_bytes) if found.used_bytes is not None else None),
        ("Quota", size(found.quota_bytes) if found.quota_bytes is not None else None),
        ("Created", found.created_at),
        ("By", found.created_by),
    ]

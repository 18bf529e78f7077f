"""`fairlead computetarget`: pools in the words of Azure ML's command; not in the help. Says the same as `fairlead compute`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.cli import compute as pools
from fairlead.cli.output import AsJson, InWorkspace, Output, Quiet
from fairlead.client import compute
from fairlead.client.connection import connect
from fairlead.schemas.compute import NewPool

app = typer.Typer(no_args_is_help=True, help="Pools, in the words of Azure ML's command; `fairlead compute` has more of them.")
making = typer.Typer(no_args_is_help=True, help="Make a pool.")
app.add_typer(making, name="create")

Name = Annotated[str, typer.Option("--name", "-n", help="The pool.")]


@making.command()
def amlcompute(
    name: Name,
    max_nodes: Annotated[int, typer.Option(help="Nodes that jobs may have together.")] = 4,
    min_nodes: Annotated[int, typer.Option(help="Nodes that are always there.")] = 0,
    vm_size: Annotated[str, typer.Option("--vm-size", "-s", help="Kept as you write it.")] = "",
    vm_priority: Annotated[str, typer.Option("--vm-priority", "-p", help="dedicated or lowpriority.")] = "dedicated",
    idle_seconds_before_scaledown: Annotated[int, typer.Option(help="How long nodes stay that no job has.")] = 1800,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a pool.

    Example: fairlead computetarget create amlcompute -n cpu-cluster --vm-size STANDARD_D2_V2 --max-nodes 4
    """
    said = {"max_nodes": max_nodes, "min_nodes": min_nodes, "vm_size": vm_size, "vm_priority": vm_priority, "idle_seconds": idle_seconds_before_scaledown}
    with connect(workspace=workspace) as transport:
        made = compute.create(transport, NewPool.of(name=name, **said))
    pools.show_pool(made, Output(as_json=as_json, quiet=quiet))


@app.command("list")
def list_(workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the pools.

    Example: fairlead computetarget list
    """
    pools.list_(workspace, as_json, quiet)


@app.command()
def show(name: Name, workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show one pool.

    Example: fairlead computetarget show -n cpu-cluster
    """
    pools.show(name, False, workspace, as_json, quiet)


@app.command()
def delete(name: Name, workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Delete a pool.

    Example: fairlead computetarget delete -n cpu-cluster
    """
    pools.delete(name, workspace, as_json, quiet)

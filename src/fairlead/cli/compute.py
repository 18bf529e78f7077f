"""`fairlead compute`: pools of nodes for batch jobs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairlead.cli.output import AsJson, InWorkspace, Output, Quiet
from fairlead.cli.pairs import labels
from fairlead.client import compute
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas.compute import NewPool, Pool, PoolChange

app = typer.Typer(no_args_is_help=True, help="Pools of nodes that batch jobs run on: how many, on which engine, how long idle ones stay.")

Name = Annotated[str, typer.Argument(help="The pool.")]
EngineOptions = Annotated[list[str] | None, typer.Option("--option", metavar="WORD=VALUE", help="Of the engine: address=ray://host:10001. May be repeated.")]
Processes = Annotated[int | None, typer.Option(help="Worker processes per node (default: one per core, or per GPU).")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="May be repeated.")]
Description = Annotated[str | None, typer.Option("--description", "-d", help="In words.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Letters, digits and hyphens, 2 to 32.")],
    min_nodes: Annotated[int, typer.Option(help="Nodes that are always there.")] = 0,
    max_nodes: Annotated[int, typer.Option(help="Nodes that jobs may have together.")] = 4,
    vm_priority: Annotated[str, typer.Option("--vm-priority", "--priority", help="dedicated, or low: nodes may be taken away at any time.")] = "dedicated",
    idle_seconds: Annotated[int, typer.Option(help="How long nodes stay that no job has.")] = 1800,
    engine: Annotated[str, typer.Option(help="local, ray or spark.")] = "local",
    option: EngineOptions = None,
    processes: Processes = None,
    vm_size: Annotated[str, typer.Option(help="Kept as you write it.")] = "",
    description: Description = None,
    tag: Tags = None,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a pool. On one machine a node is a group of worker processes.

    Example: fairlead compute create nightly --max-nodes 2 --priority low
    """
    said = {"min_nodes": min_nodes, "max_nodes": max_nodes, "vm_priority": vm_priority, "idle_seconds": idle_seconds, "engine": engine, "vm_size": vm_size}
    more = {"options": labels(option, "--option"), "tags": labels(tag, "--tag"), "description": description or ""}
    new = NewPool.of(name=name, processes=processes, **said, **more)
    with connect(workspace=workspace) as transport:
        made = compute.create(transport, new)
    show_pool(made, Output(as_json=as_json, quiet=quiet))


@app.command("list")
def list_(workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the pools, with the nodes that they have now.

    Example: fairlead compute list
    """
    with connect(workspace=workspace) as transport:
        found = list(compute.list_all(transport))
    rows = [(each.name, each.engine, f"{each.min_nodes} to {each.max_nodes}", _now(each), each.vm_priority, each.allocation.jobs) for each in found]
    columns = ("NAME", "ENGINE", "NODES", "NOW", "PRIORITY", "JOBS")
    Output(as_json=as_json, quiet=quiet).table(found, columns, rows, empty="There are no pools; `fairlead compute create` makes one.")


@app.command()
def show(
    name: Name,
    jobs: Annotated[bool, typer.Option("--jobs", help="List the jobs that have nodes of it, or had.")] = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show one pool, or its jobs.

    Example: fairlead compute show nightly
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        if jobs:
            uses = list(compute.uses(transport, name))
            rows = [(each.job, each.nodes, each.since, each.until, each.interruptions) for each in uses]
            output.table(uses, ("JOB", "NODES", "SINCE", "UNTIL", "INTERRUPTIONS"), rows, empty="No job has had nodes of it.")
            return
        found = compute.show(transport, name)
    show_pool(found, output)


@app.command()
def update(
    name: Name,
    min_nodes: Annotated[int | None, typer.Option(help="Nodes that are always there.")] = None,
    max_nodes: Annotated[int | None, typer.Option(help="Nodes that jobs may have together.")] = None,
    idle_seconds: Annotated[int | None, typer.Option(help="How long nodes stay that no job has.")] = None,
    option: EngineOptions = None,
    processes: Processes = None,
    description: Description = None,
    tag: Tags = None,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Change a pool's limits; jobs that run keep the nodes that they have.

    Example: fairlead compute update nightly --max-nodes 8
    """
    plain: dict[str, Any] = {"min_nodes": min_nodes, "max_nodes": max_nodes, "idle_seconds": idle_seconds, "processes": processes, "description": description}
    plain |= {"options": labels(option, "--option") or None, "tags": labels(tag, "--tag") or None}
    said = {word: value for word, value in plain.items() if value is not None}
    if not said:
        raise UsageError("What should change? Say it with an option such as --max-nodes.")
    with connect(workspace=workspace) as transport:
        changed = compute.change(transport, name, PoolChange.of(**said))
    show_pool(changed, Output(as_json=as_json, quiet=quiet))


@app.command()
def delete(name: Name, workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Delete a pool; refused while a job has nodes of it.

    Example: fairlead compute delete nightly
    """
    with connect(workspace=workspace) as transport:
        compute.delete(transport, name)
    Output(as_json=as_json, quiet=quiet).result({"deleted": name}, short=name if quiet else f"The compute pool {name!r} is deleted.")


def show_pool(found: Pool, output: Output) -> None:
    lines = [
        ("Pool", found.name),
        ("Engine", found.engine),
        ("Options", found.options),
        ("Nodes", f"{found.min_nodes} to {found.max_nodes}, {_now(found)}"),
        ("Idle until", found.allocation.idle_until),
        ("Idle seconds", found.idle_seconds),
        ("Processes", found.processes or "one per core"),
        ("Priority", found.vm_priority),
        ("VM size", found.vm_size),
        ("Jobs", found.allocation.jobs),
        ("Interruptions", found.interruptions),
        ("Description", found.description),
        ("Tags", found.tags),
        ("Created", found.created_at),
        ("By", found.created_by),
    ]
    output.result(found, short=found.name, lines=lines)


def _now(pool: Pool) -> str:
    now = pool.allocation
    return f"{now.current_nodes} now" if now.state == "Steady" else f"{now.current_nodes} of {now.target_nodes} now"

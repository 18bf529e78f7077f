"""`fairlead env`: where services go by default, and what this machine has and lacks to run them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.client import connection
from fairlead.errors import Unavailable, UsageError
from fairlead.sdk import machine
from fairlead.sdk.machine import CONTAINER, DOCKER, LOCAL, TARGETS, Check

app = typer.Typer(help="Where services go by default, and what this machine lacks to run them.", no_args_is_help=True, rich_markup_mode=None)

Target = Annotated[str, typer.Option("--target", "-t", metavar="local|docker|container", help="Processes, containers behind one address, or one container.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Also when something that it needs is missing now.")]
Unheeded = Annotated[str | None, typer.Option("--name", "-n", hidden=True, help="A word of the first generation, without effect.")]
Cluster = Annotated[bool, typer.Option("--cluster", "-c", help="Set up a cluster; not in this version.")]
Mesos = Annotated[bool, typer.Option("--mesos", "-m", hidden=True, help="A word of the first generation.")]
WHAT = {
    LOCAL: "processes of the server's machine",
    DOCKER: "containers, behind an address that stays while they are swapped",
    CONTAINER: "one container, also on another machine (DOCKER_HOST)",
}
NO_CLUSTER = (
    "There is no cluster mode in this version: services run as processes, or in containers of one machine. "
    "`fairlead env local --target docker` is what comes closest: replicas, and limits of CPU and memory, work there."
)


@app.command()
def show(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show where services go by default, what this machine has, and what each lack keeps from working.

    \b
    fairlead env show
    fairlead env show --json
    """
    output = Output(as_json=as_json, quiet=quiet)
    with output.phase("Looking at this machine"):
        checks = machine.look()
    _show(output, checks)


app.command("about", hidden=True)(show)


@app.command()
def setup(
    target: Target = DOCKER,
    name: Unheeded = None,
    cluster: Cluster = False,
    mesos: Mesos = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check everything that services of a kind need, and say what to do next. Nothing is installed or changed.

    Exit code 0: all of it is there. 6: something is missing.

    \b
    fairlead env setup
    fairlead env setup --target local
    """
    if cluster or mesos:
        raise UsageError(NO_CLUSTER)
    chosen, output = _checked(target), Output(as_json=as_json, quiet=quiet)
    if name:
        output.say(f"--name {name} has no effect: nothing is made here that would carry it.")
    with output.phase("Looking at this machine"):
        checks = machine.look()
    missing = machine.lacking(checks, chosen)
    if as_json or quiet:
        facts = {"target": chosen, "ready": not missing, "missing": [each.to_json() for each in missing], "checks": [each.to_json() for each in checks]}
        output.result(facts, short="ready" if not missing else ", ".join(each.name for each in missing))
    else:
        _show_checks(checks)
        _show_next(chosen, missing)
    raise typer.Exit(Unavailable.exit_code if missing else 0)


@app.command()
def local(target: Target = LOCAL, force: Force = False, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """From now on, services go to this machine: as processes, or with --target into containers.

    \b
    fairlead env local
    fairlead env local --target docker
    """
    chosen, output = _checked(target), Output(as_json=as_json, quiet=quiet)
    missing = [] if chosen == LOCAL or connection.configured_url() else machine.lacking(machine.look(), chosen)
    if missing and not force:
        first = missing[0]
        raise Unavailable(f"The target {chosen} cannot run here: {first.said.rstrip('.')}. What to do: {first.cure}. --force chooses it all the same.")
    connection.choose_target(None if chosen == LOCAL else chosen)
    output.result({"target": chosen}, short=chosen, lines=[("target", f"{chosen}: {WHAT[chosen]}")])
    output.say("`fairlead deploy ... --target NAME` says otherwise for one service; those that run stay where they are.")


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def cluster() -> None:
    """Send services to a cluster; not in this version, and what comes closest is said.

    \b
    fairlead env cluster
    """
    raise UsageError(NO_CLUSTER)


def _checked(target: str) -> str:
    """Raises UsageError."""
    chosen = target.lower()
    if chosen not in TARGETS:
        raise UsageError(f"There is no target {target!r}; there are {', '.join(TARGETS)}.")
    return chosen


def _show(output: Output, checks: list[Check]) -> None:
    url, target = connection.configured_url(), connection.default_target() or LOCAL
    works = {each: not machine.lacking(checks, each) for each in TARGETS}
    facts: dict[str, Any] = {"target": target, "server": url or "local", "can_run": [each for each in TARGETS if works[each]]}
    if output.as_json or output.quiet:
        output.result({**facts, "checks": [each.to_json() for each in checks]}, short=target)
        return
    console = _console()
    console.print(Text("Services go to  ", style="dim") + Text(target, style="bold") + Text(f": {WHAT.get(target, 'no target of this version')}"))
    console.print(Text("Server          ", style="dim") + Text(url or "the one of this machine, which starts by itself"))
    if url:
        console.print(Text("                What follows is about this machine; services run on the server's.", style="dim"))
    console.print()
    _show_checks(checks)
    grid = _grid((1, 12))
    for each in TARGETS:
        grid.add_row(
            _mark(works[each]), Text(each), Text(WHAT[each] if works[each] else f"needs {', '.join(one.name for one in machine.lacking(checks, each))}")
        )
    console.print(grid)


def _show_checks(checks: list[Check]) -> None:
    console, grid = _console(), _grid((1, 14))
    for each in checks:
        said = Text(each.said)
        if not each.is_there and each.cure:
            said += Text("\n→ ", style="dim") + Text(each.cure)
        grid.add_row(_mark(each.is_there if each.is_there or each.targets else None), Text(each.name), said)
    console.print(grid)
    console.print()


def _show_next(target: str, missing: list[Check]) -> None:
    console = _console()
    if missing:
        names = ", ".join(each.name for each in missing)
        console.print(Text(f"For {target}, this is missing: {names}. Do what stands behind each arrow, then `fairlead env setup` again."))
        return
    steps = [f"fairlead env local --target {target}", "fairlead deploy MODEL", "fairlead service doctor NAME"]
    console.print(Text(f"All that {target} needs is there. Next:"))
    for step in steps:
        console.print(Text(f"  {step}"))


def _mark(is_there: bool | None) -> Text:
    return {True: Text("✓", style="green"), False: Text("✗", style="bold red"), None: Text("-", style="dim")}[is_there]


def _grid(widths: tuple[int, ...]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for width in widths:
        grid.add_column(width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 80, highlight=False)

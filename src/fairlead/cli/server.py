"""`fairlead server`: the control plane of this machine. It starts by itself when a command needs it; these are for whoever wants to see to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead import __version__, places
from fairlead.cli import server_install, server_maintenance, server_process
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.client import local_server
from fairlead.client.local_server import LocalServer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
for act in (server_maintenance.backup, server_maintenance.restore, server_maintenance.upgrade, server_maintenance.fsck, server_maintenance.gc):
    app.command()(act)
app.command()(server_install.install)

Host = Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless said.")]
Port = Annotated[int | None, typer.Option(help="0 picks a free one.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="sqlite:////PATH or postgresql://USER@HOST/NAME; a file in the state folder unless said.")]
StoreUrl = Annotated[str | None, typer.Option(help="Where files are kept: a folder, s3://, gs://, abfs://; a folder in the state folder unless said.")]


@app.command()
def start(
    host: Host = None,
    port: Port = None,
    database_url: DatabaseUrl = None,
    store_url: StoreUrl = None,
    master_key_file: Annotated[str | None, typer.Option(help="The key that service keys and secrets are kept under.")] = None,
    tls_cert: Annotated[str | None, typer.Option(help="PEM file: the certificate and its chain.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="PEM file: the certificate's key.")] = None,
    unsafe_formats: Annotated[str | None, typer.Option(help="Models whose loading runs code: allow or deny.")] = None,
    docker_host: Annotated[str | None, typer.Option(help="Container engine: unix:///SOCKET, tcp://HOST:PORT, ssh://USER@HOST.")] = None,
    image_base: Annotated[str | None, typer.Option(help="What images are built upon where nobody says; {python} is the minor version.")] = None,
    dockerfile_builds: Annotated[str | None, typer.Option(help="Dockerfile steps of services, run as root by the engine: allow or deny.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    workers: Annotated[int | None, typer.Option(help="Acts on services, builds and the like that go on at once.")] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, log to standard error, end with Ctrl-C or SIGTERM.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Start the server of this machine. What it is told is remembered: without flags it starts as it did last.

    Example: fairlead server start --port 8700 --database-url postgresql://fairlead@db.example.com/fairlead
    """
    flags = {
        "host": host,
        "port": port,
        "database_url": database_url,
        "store_url": _absolute(store_url),
        "master_key_file": _absolute(master_key_file),
        "tls_cert": _absolute(tls_cert),
        "tls_key": _absolute(tls_key),
        "unsafe_formats": unsafe_formats,
        "docker_host": docker_host,
        "image_base": image_base,
        "dockerfile_builds": dockerfile_builds,
        "log_level": log_level,
        "workers": workers,
    }
    given = server_process.arguments(flags)
    if foreground:
        raise typer.Exit(server_process.become("serve", ["--remember", "--log-file", "-", *given]))
    output = Output(as_json=as_json, quiet=quiet)
    with output.phase("Starting the server"):
        found, is_new = local_server.start(given)
    if not is_new:
        output.say(f"It was running already{', and was told nothing new: stop it first' if given else ''}.")
    _show(found, output)


@app.command()
def status(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Say whether it runs, where, which version; and the container engine and router of its services, if any. Exit code 6: it does not run.

    Example: fairlead server status --json
    """
    output = Output(as_json=as_json, quiet=quiet)
    elsewhere = os.environ.get("FAIRLEAD_URL")
    if elsewhere:
        output.say(f"Commands use the server {elsewhere} (FAIRLEAD_URL), not the one of this machine.")
    found = local_server.find()
    containers = _containers(output)
    if found is not None:
        _show(found, output, containers)
        return
    holder = local_server.holder()
    state = "unresponsive" if holder else "stopped"
    sentence = f"It does not answer, and process {holder} has its state folder." if holder else "No server runs; the next command that needs one starts it."
    output.result({"state": state, "pid": holder, "state_dir": str(places.state_dir()), **containers}, short=state)
    output.say(sentence)
    for name, words in _lines_of(containers):
        output.say(f"{name}: {words}")
    raise typer.Exit(6)


@app.command()
def stop(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """End the server. Services that it has started go on serving.

    Example: fairlead server stop
    """
    output = Output(as_json=as_json, quiet=quiet)
    with output.phase("Stopping the server"):
        was_there = local_server.stop()
    output.result({"stopped": was_there}, short="stopped" if was_there else "No server was running.")


@app.command()
def logs(
    tail: Annotated[int, typer.Option(min=0, help="How many lines.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each line that is added, until Ctrl-C.")] = False,
    request_id: Annotated[str | None, typer.Option(help="Lines of this request only.")] = None,
) -> None:
    """Show the last lines of the server's log: one JSON object each.

    Example: fairlead server logs --tail 20 -f
    """
    given = server_process.arguments({"tail": tail, "follow": follow, "request_id": request_id})
    if follow:
        raise typer.Exit(server_process.become("logs", given))
    answered = server_process.captured("logs", given)
    print(answered, end="")


@app.command()
def settings(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show each setting, its value, and where it comes from: a flag, a variable, what `start` was told, or the default.

    Example: FAIRLEAD_LOG_LEVEL=debug fairlead server settings
    """
    output = Output(as_json=as_json, quiet=quiet)
    items: list[dict[str, Any]] = server_process.ask("settings", [], output)["settings"]
    output.table(items, ("SETTING", "VALUE", "FROM"), [(each["name"], each["value"], each["source"]) for each in items], empty="There are no settings.")


def _containers(output: Output) -> dict[str, Any]:
    """`engine` and `router`, where services have run in containers."""
    if not any((places.state_dir() / name).is_dir() for name in ("docker", "container")):
        return {}
    return server_process.ask("containers", [], output)


def _lines_of(containers: dict[str, Any]) -> list[tuple[str, str]]:
    engine, router = containers.get("engine"), containers.get("router")
    lines = [("engine", "answers" if engine["answers"] else engine["message"])] if engine else []
    if not router:
        return lines
    routes = [f"{each['handle']} at {each['address']}{'' if each['live'] else ' (' + each['message'] + ')'}" for each in router["routes"]]
    return [*lines, ("router", f"{'runs' if router['running'] else 'does not run'}; {', '.join(routes) or 'no routes'}")]


def _show(found: LocalServer, output: Output, containers: dict[str, Any] | None = None) -> None:
    facts = {"state": "running", "url": found.url, "version": found.version, "pid": found.pid, "python": found.python, "started_at": found.started_at}
    lines = [(name.replace("_", " "), value) for name, value in facts.items()] + _lines_of(containers or {})
    output.result({**facts, "state_dir": str(places.state_dir()), "managed_by": found.managed_by or None, **(containers or {})}, short=found.url, lines=lines)
    if found.is_older:
        output.say(f"It is older than this fairlead ({__version__}), and {found.managed_by or 'somebody'} keeps it running: restart it with the newer one.")


def _absolute(path: str | None) -> str | None:
    """The server runs elsewhere; what is no URL is a path from here."""
    return str(Path(path).absolute()) if path and ":/" not in path else path

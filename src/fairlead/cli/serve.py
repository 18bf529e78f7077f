"""`fairlead serve`: a model file, a score.py or a bundle becomes a live service in the foreground.

Works out what is to be served and in which environment, makes a bundle of a bare model, and becomes the runtime (exec): nothing of
this program stays in memory.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from fairlead_scoring.bundle import is_bundle

from fairlead import flavors
from fairlead.bundles import Recipe, make, parse_model
from fairlead.environments.interpreter import choose
from fairlead.environments.local_cache import keep, place_of
from fairlead.errors import BootFailure, UsageError

PORT = 5001
FLAG_NAMES = {"max_waiting": "--max-waiting", "max_wait": "--max-wait", "max_body": "--max-body", "config_file": "--config_file"}

What = Annotated[Path, typer.Argument(metavar="MODEL|SCRIPT|BUNDLE", help="A model file or folder, a score.py, or a bundle.")]
ModelDir = Annotated[Path | None, typer.Option("--model-dir", help="AZUREML_MODEL_DIR for a script.")]
AppRoot = Annotated[Path | None, typer.Option("--app-root", help="Working directory of a script; default: here.")]
Host = Annotated[str, typer.Option(help="Address to listen on. Anything but loopback wants --keys.")]
Port = Annotated[int | None, typer.Option(help=f"Port to listen on; default {PORT}, or a free one when that is taken.")]
Workers = Annotated[int | None, typer.Option(help="Worker processes, each with the model loaded.", show_default="1")]
Reload = Annotated[bool, typer.Option("--reload", help="When a served file changes, new workers take over without losing a request.")]
Environment = Annotated[str | None, typer.Option(help="Virtual environment (or python) with the script's packages; default: the active one.")]
Sample = Annotated[Path | None, typer.Option(help="A request body that must be answered before the service is ready.")]
Name = Annotated[str | None, typer.Option(help="Also serve below /api/v1/service/NAME.")]
Prefix = Annotated[str | None, typer.Option(help="Path prefix of every route.")]
KeysFile = Annotated[Path | None, typer.Option("--keys", help="Ask for a key; the file is made by `fairlead keys new FILE`.")]
TlsCert = Annotated[Path | None, typer.Option(help="PEM file, full chain.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file.")]
Cors = Annotated[str | None, typer.Option(help="Origins that browsers may call from, comma separated, or *.")]
Concurrency = Annotated[int | None, typer.Option(help="Calls of an `async def run` at a time in one worker.", show_default="64")]
Deadline = Annotated[float | None, typer.Option(help="Seconds that run() may take.", show_default="60")]
MaxWaiting = Annotated[int | None, typer.Option(help="Requests that may wait per worker; more get 429.", show_default="64")]
MaxWait = Annotated[float | None, typer.Option(help="Seconds that a request may wait; then 503.", show_default="10")]
MaxBody = Annotated[int | None, typer.Option(help="Bytes of a request's body; more get 413.", show_default="100 MiB")]
MetricsPort = Annotated[int | None, typer.Option(help="A second listener for health and metrics.")]
LogFile = Annotated[Path | None, typer.Option(help="Append log lines to this file; default: standard output.")]
LogForm = Annotated[str | None, typer.Option(help="json or text.", show_default="text on a terminal")]
StrictCompat = Annotated[bool, typer.Option("--strict-compat", help="Answer 500 where the Azure server does, not 400.")]
ConfigFile = Annotated[Path | None, typer.Option(help="JSON file with the variables of the Azure server.")]
NoWarmup = Annotated[bool, typer.Option("--no-warmup", help="Be ready without answering the sample first.")]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning, error or critical.", show_default="info")]
Unsafe = Annotated[
    str, typer.Option(envvar="FAIRLEAD_UNSAFE_FORMATS", show_envvar=False, help="allow or deny models whose loading runs code (pickle and kin).")
]
PrepareOnly = Annotated[bool, typer.Option("--prepare-only", hidden=True)]


def serve(
    what: What,
    model_dir: ModelDir = None,
    app_root: AppRoot = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    workers: Workers = None,
    reload: Reload = False,
    environment: Environment = None,
    sample: Sample = None,
    name: Name = None,
    prefix: Prefix = None,
    keys: KeysFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    cors: Cors = None,
    concurrency: Concurrency = None,
    deadline: Deadline = None,
    max_waiting: MaxWaiting = None,
    max_wait: MaxWait = None,
    max_body: MaxBody = None,
    metrics_port: MetricsPort = None,
    log_file: LogFile = None,
    log_form: LogForm = None,
    log_level: LogLevel = None,
    strict_compat: StrictCompat = False,
    config_file: ConfigFile = None,
    no_warmup: NoWarmup = False,
    unsafe_formats: Unsafe = "allow",
    prepare_only: PrepareOnly = False,
) -> None:
    """Serve a model file, a score.py or a bundle over HTTP, until Ctrl-C."""
    asked = dict(locals())
    for local in ("what", "environment", "port", "prepare_only", "unsafe_formats"):
        asked.pop(local)
    interpreter = choose(environment)
    if not what.exists():
        raise UsageError(f"{what} does not exist. Give a model file or folder, a score.py, or a bundle.")
    if model_dir is not None and not model_dir.exists():
        raise UsageError(f"The model folder {model_dir} does not exist. Name an existing one with --model-dir.")
    if prepare_only:
        typer.echo(_bundle_of(what, interpreter.path))
        return
    target = _target(what, interpreter.path, unsafe_formats, reload)
    arguments = [*target, *_flags(asked), "--port", str(_port(host, port)), "--python", str(interpreter.path), "--banner"]
    _become([sys.executable, "-m", "fairlead_scoring", "serve", *arguments])


def _target(what: Path, python: Path, unsafe_formats: str, reload: bool) -> list[str]:
    """The runtime's arguments that say what to serve. A pickle of one's own is served, with a notice (DECISIONS 29)."""
    if unsafe_formats not in ("allow", "deny"):
        raise UsageError(f"--unsafe-formats {unsafe_formats}: say allow or deny.")
    unsafe = ["--unsafe-formats", unsafe_formats]
    if what.is_dir() and is_bundle(what):
        return [str(what), *unsafe, *_notices(what, unsafe_formats)]
    if what.suffix == ".py":
        return ["--entry-script", str(what.absolute())]
    made = _bundle_of(what, python)
    again = [sys.executable, "-m", "fairlead", "serve", str(what.absolute()), "--environment", str(python), "--prepare-only"]
    prepare = [f"--prepare={word}" for word in again]
    return [str(made), *unsafe, *prepare, *([f"--watch={what.absolute()}"] if reload else []), *_notices(what, unsafe_formats)]


def _notices(what: Path, unsafe_formats: str) -> list[str]:
    notice = flavors.unsafe.notice(flavors.unsafe.scan(what)) if unsafe_formats == "allow" else None
    return [f"--notice={notice}"] if notice else []


def _bundle_of(model: Path, python: Path) -> Path:
    def inspect(path: Path) -> flavors.Found:
        found = flavors.inspect(path, python)
        for note in found.notes:
            typer.echo(f"fairlead: {note}", err=True)
        return found

    made = make(Recipe(models=[parse_model(str(model))]), place_of(model) / f"new-{os.getpid()}", inspect)
    return keep(made.path, made.digest)


def _flags(asked: dict[str, Any]) -> list[str]:
    """Options of the same name, passed on."""
    flags = []
    for option, value in asked.items():
        flag = FLAG_NAMES.get(option, "--" + option.replace("_", "-"))
        if value is True:
            flags.append(flag)
        elif value is not None and value is not False:  # 0 is an answer
            flags += [flag, str(value)]
    return flags


def _port(host: str, asked: int | None) -> int:
    """The default port when it is free, else a free one, and a line that says so."""
    if asked is not None:
        return asked
    port = _bindable(host, PORT) or _bindable(host, 0)
    if port and port != PORT:
        typer.echo(f"Port {PORT} is taken; serving on {port}.", err=True)
    return port or PORT  # an address that is not ours: the runtime says so


def _bindable(host: str, port: int) -> int | None:
    """The port that was bound for a moment, None when that is not possible."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            taken: int = probe.getsockname()[1]
            return taken
    except OSError:
        return None


def _become(command: list[str]) -> None:
    sys.stdout.flush()
    try:
        os.execv(command[0], command)  # noqa: S606 - the interpreter that runs this
    except OSError as error:
        raise BootFailure(f"`{shlex.join(command)}` could not be started: {error.strerror}.") from error

"""`fairlead server install`: a unit of systemd or an agent of launchd that starts the server at log-in or boot, and services with it."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fairlead import places
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.client import local_server, pinned_python
from fairlead.errors import Conflict, FairleadError, UsageError

LABEL = "dev.fairlead.server"
UNIT = "fairlead.service"
KEPT = ("FAIRLEAD_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


@dataclass(frozen=True)
class Unit:
    """What is written where, and the commands that begin and end its life."""

    path: Path
    text: str
    begin: tuple[tuple[str, ...], ...]
    end: tuple[tuple[str, ...], ...]


def install(
    show: Annotated[bool, typer.Option("--print", help="Show what would be written, and write nothing.")] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="End it and remove it again.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace one that somebody else wrote or changed.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Have systemd (launchd on macOS) start the server when you log in, with what `fairlead server start` was told last.

    Example: fairlead server install --print
    """
    output = Output(as_json=as_json, quiet=quiet)
    unit = _unit()
    if show:
        print(unit.text, end="")
        return
    if uninstall:
        _remove(unit, output)
        return
    _refuse_taken(unit, force=force)
    if local_server.stop():
        output.say("The server that was running was stopped; it comes back as what is installed now.")
    unit.path.parent.mkdir(parents=True, exist_ok=True)
    unit.path.write_text(unit.text, encoding="utf-8")
    for command in unit.begin:
        _run(command)
    output.result({"path": str(unit.path), "installed": True}, short=str(unit.path))
    if sys.platform != "darwin":
        output.say("It ends with your last session unless lingering is on: `loginctl enable-linger`.")


def _remove(unit: Unit, output: Output) -> None:
    was_there = unit.path.exists()
    if was_there:
        for command in unit.end:
            _run(command)
        unit.path.unlink()
    output.result({"path": str(unit.path), "installed": False}, short=str(unit.path) if was_there else "It was not installed.")


def _unit() -> Unit:
    command = [pinned_python.choose(places.state_dir()), "-m", "fairlead.server", "--local", "--managed-by"]
    environment = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    return _agent([*command, "launchd"], environment) if sys.platform == "darwin" else _systemd([*command, "systemd"], environment)


def _systemd(command: list[str], environment: dict[str, str]) -> Unit:
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    lines = [
        "# Written by `fairlead server install`",
        "[Unit]",
        "Description=Fairlead server",
        "",
        "[Service]",
        f"ExecStart={' '.join(_quoted(word.replace('$', '$$')) for word in command)}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()),
        "Restart=on-failure",
        "RestartSec=2",
        "# services that it has started go on serving when it ends",
        "KillMode=process",
        "UMask=0077",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    systemctl = ("systemctl", "--user")
    begin = ((*systemctl, "daemon-reload"), (*systemctl, "enable", "--now", UNIT), (*systemctl, "restart", UNIT))
    return Unit(folder / UNIT, "\n".join(lines) + "\n", begin, ((*systemctl, "disable", "--now", UNIT),))


def _agent(command: list[str], environment: dict[str, str]) -> Unit:
    path = Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    told = {
        "Label": LABEL,
        "ProgramArguments": command,
        "EnvironmentVariables": environment,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "AbandonProcessGroup": True,
        "Umask": 0o077,
    }
    domain = f"gui/{os.getuid()}"
    return Unit(path, plistlib.dumps(told).decode(), (("launchctl", "bootstrap", domain, str(path)),), (("launchctl", "bootout", f"{domain}/{LABEL}"),))


def _quoted(word: str) -> str:
    """As systemd reads a word: its specifiers are doubled."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if plain != word or any(each in word for each in " \t'") else word


def _refuse_taken(unit: Unit, *, force: bool) -> None:
    if unit.path.exists() and unit.path.read_text(encoding="utf-8") != unit.text and not force:
        raise Conflict(f"{unit.path} exists and says something else; compare it with `fairlead server install --print`, or replace it with --force.")


def _run(command: tuple[str, ...]) -> None:
    if shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]} is not here, so nothing would start the server; run `fairlead server start --foreground` under what you have.")
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise FairleadError(f"`{' '.join(command)}` failed: {said[-1] if said else f'exit code {done.returncode}'}")

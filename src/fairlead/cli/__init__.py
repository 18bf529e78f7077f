"""The `fairlead` command. A command's module is imported only when that command is asked for, so help stays quick.

A new command is one line in COMMANDS and a module `fairlead.cli.NAME` with a function NAME; a noun with commands of its own is one line in NOUNS
and a module with a Typer application `app`. What takes long to import stands in LATER of that module: modules with `add_to(app)`, and the commands
that each adds.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, NoReturn

import typer

from fairlead import __version__
from fairlead.errors import FairleadError

COMMANDS = {
    "serve": "Serve a model file, a score.py or a bundle over HTTP.",
    "bundle": "Make a bundle: a folder with model, script and schema that never changes.",
    "call": "Send a sample or a file to a service and show the answer.",
    "keys": "Make or change the two keys of a service.",
    "connect": "Choose the server and workspace that commands talk to.",
    "deploy": "Make a live service of a registered model, a file or a bundle.",
    "package": "Make an image of a model: an OCI layout, an archive, or in a registry.",
    "trace": "Say where an answer came from: revision, models, environment, commit, who.",
}
NOUNS: dict[str, str] = {
    "env": "Where services go by default, and what this machine lacks to run them.",
    "environment": "Packages that models run with: create, list, build, check.",
    "workspace": "Make workspaces, and say who may do what in them.",
    "token": "Make, list and revoke API tokens.",
    "datastore": "Places of data: folders, buckets, containers, databases, and their files.",
    "dataset": "Data sets: files or rows by a name, in versions.",
    "compute": "Pools of nodes that batch jobs run on.",
    "secret": "Set, list and delete secrets that services are given as files.",
    "audit": "Show who did what, when and from where.",
    "model": "Register, find, change and fetch models.",
    "batch": "Score files, tables and folders with a model, on one machine or many.",
    "job": "Batch jobs: how far they are, what they left, what happened.",
    "image": "Images: what there is, what is in them, who runs them.",
    "service": "What runs, how it is, how to change it.",
    "server": "Start, look at, save and mend the server of this machine.",
}

HIDDEN: dict[str, str] = {"computetarget": "Pools, in the words of Azure ML's command."}
"""Nouns that help does not name: other spellings."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits with its code (ADR 1); an error is one sentence, its traceback only with --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = next((each for each in given if not each.startswith("-")), None)
    debug = "--debug" in given[: given.index(asked) if asked else None] or os.environ.get("FAIRLEAD_DEBUG", "") not in ("", "0")
    try:
        _imported(asked, given)(given, prog_name="fairlead")
    except FairleadError as error:
        _end(error, str(error), error.exit_code, debug)
    except Exception as error:  # noqa: BLE001 - a person reads a sentence, whatever went wrong
        _end(error, f"Unexpected {type(error).__name__}: {error} Run `fairlead --debug ...` to see where.", 1, debug)
    sys.exit(0)


def application(asked: str | None, words: Sequence[str] = (), *, completing: bool = False) -> typer.Typer:
    """All commands, of which only the one asked for is imported; a shell that completes words needs every one. `words`: what comes behind a noun."""
    app = typer.Typer(
        help="Takes a trained model to production.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # Rich would double what --help costs
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, summary in COMMANDS.items():
        if asked == name or completing:
            app.command(name, short_help=summary)(_load(name))
        else:
            app.command(name, help=summary)(_absent)
    for name, summary in NOUNS.items():
        if asked == name or completing:
            app.add_typer(_noun(name, words), name=name, help=summary)
        else:
            app.command(name, help=summary)(_absent)
    if asked in HIDDEN:
        app.add_typer(vars(importlib.import_module(f"fairlead.cli.{asked}"))["app"], name=asked, help=HIDDEN[asked], hidden=True)
    return app


def _imported(asked: str | None, given: Sequence[str]) -> typer.Typer:
    """What imports make stays until the end: looking through it for garbage, again and again, takes a tenth of a short command."""
    gc.disable()
    try:
        return application(asked, given[given.index(asked) + 1 :] if asked else (), completing="_FAIRLEAD_COMPLETE" in os.environ)
    finally:
        gc.freeze()
        gc.enable()


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"fairlead {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error (or FAIRLEAD_DEBUG=1).")] = False,
) -> None:
    """What stands before the command; both are read elsewhere."""


def _absent() -> None:
    """Stands in help for a command that was not asked for."""


def _noun(name: str, words: Sequence[str]) -> typer.Typer:
    """Its application, with what the words ask for of that which is imported late; all of it when they ask for nothing that there is."""
    module = vars(importlib.import_module(f"fairlead.cli.{name}"))
    app: typer.Typer = module["app"]
    later: Mapping[str, Sequence[str]] = module.get("LATER", {})
    at_once = [each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands]
    known = {*at_once, *(str(each.name) for each in app.registered_groups), *(command for commands in later.values() for command in commands)}
    whole = next((each for each in (" ".join(words[:2]), *words[:1]) if each in known), None)
    asked = {whole} if whole else {each for each in known if each.split()[:1] == list(words[:1])}
    for late, commands in later.items():
        if not asked or asked.intersection(commands):
            importlib.import_module(f"fairlead.cli.{late}").add_to(app)
    return app


def _load(name: str) -> Callable[..., None]:
    command: Callable[..., None] = vars(importlib.import_module(f"fairlead.cli.{name}"))[name]
    return command


def _end(error: Exception, sentence: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    print(f"fairlead: {sentence}", file=sys.stderr)
    sys.exit(code)

"""The `fairlead` command. A command's module is imported only when that command is asked for, so help stays quick.

A new command is one line in COMMANDS and a module `fairlead.cli.NAME` with a function NAME.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

from fairlead import __version__
from fairlead.errors import FairleadError

COMMANDS = {
    "serve": "Serve a model file, a score.py or a bundle over HTTP.",
    "bundle": "Make a bundle: a folder with model, script and schema that never changes.",
    "call": "Send a sample or a file to a service and show the answer.",
    "keys": "Make or change the two keys of a service.",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits with its code (ADR 1); an error is one sentence, its traceback only with --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = next((each for each in given if not each.startswith("-")), None)
    debug = "--debug" in given[: given.index(asked) if asked else None] or os.environ.get("FAIRLEAD_DEBUG", "") not in ("", "0")
    try:
        application(asked, completing="_FAIRLEAD_COMPLETE" in os.environ)(given, prog_name="fairlead")
    except FairleadError as error:
        _end(error, str(error), error.exit_code, debug)
    except Exception as error:  # noqa: BLE001 - a person reads a sentence, whatever went wrong
        _end(error, f"Unexpected {type(error).__name__}: {error} Run `fairlead --debug ...` to see where.", 1, debug)
    sys.exit(0)


def application(asked: str | None, *, completing: bool = False) -> typer.Typer:
    """All commands, of which only the one asked for is imported; a shell that completes words needs every one."""
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
    return app


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


def _load(name: str) -> Callable[..., None]:
    command: Callable[..., None] = vars(importlib.import_module(f"fairlead.cli.{name}"))[name]
    return command


def _end(error: Exception, sentence: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    print(f"fairlead: {sentence}", file=sys.stderr)
    sys.exit(code)

"""`python -m fairlead.server [NAME]`: the server itself, or an act on its database while no CLI is needed. NAME is a module of `server/commands`."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import signal
import sys
import traceback
from dataclasses import fields
from types import FrameType
from typing import NoReturn

from fairlead.errors import FairleadError
from fairlead.server.settings import Settings, read

COMMANDS = ("serve", "settings", "logs", "upgrade", "backup", "restore", "fsck", "gc", "containers")
FLAGS = ("local",)

_RARELY = 50_000  # new objects, from now on: what is imported stays, and looking through it for garbage again and again takes a tenth of the start


def main(arguments: list[str]) -> int:
    name = arguments[0] if arguments and arguments[0] in COMMANDS else "serve"
    gc.set_threshold(_RARELY)
    command = importlib.import_module(f"fairlead.server.commands.{name}")  # only what is asked for: SQLAlchemy and FastAPI take long to import
    parser = argparse.ArgumentParser(prog=f"python -m fairlead.server {name}", allow_abbrev=False, epilog=f"NAME is one of: {', '.join(COMMANDS)}")
    command.add_arguments(parser)
    for each in fields(Settings):
        flag = f"--{each.name.replace('_', '-')}"
        parser.add_argument(flag, action="store_const", const=True) if each.name in FLAGS else parser.add_argument(flag)
    told = parser.parse_args(arguments[1:] if arguments[:1] == [name] else arguments)
    flags = {each.name: getattr(told, each.name) for each in fields(Settings)}
    signal.signal(signal.SIGTERM, _end)  # also what uvicorn raises again once it has ended in order
    signal.signal(signal.SIGINT, _end)
    try:
        answer = command.run(read(flags), told, flags)
    except FairleadError as error:
        return _fail(error, name)
    except Exception as error:  # noqa: BLE001 - who asked gets an answer, whatever went wrong
        traceback.print_exc()
        said = str(error).strip().partition("\n")[0]
        return _fail(FairleadError(f"Unexpected {type(error).__name__}: {said} Its traceback is above."), name)
    if answer is not None:
        sys.stdout.write(json.dumps(answer, default=str) + "\n")
    return 0


def _fail(error: FairleadError, name: str) -> int:
    if name == "serve":
        sys.stderr.write(f"fairlead server: {error}\n")
    else:
        sys.stdout.write(json.dumps({"type": error.problem_type(), "detail": str(error)}) + "\n")
    return error.exit_code


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


sys.exit(main(sys.argv[1:]))

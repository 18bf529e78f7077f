"""A worker: one process in the user's environment that loads a script and scores what the front sends.

`init()` and `run()` run on the main thread. A helper thread talks to the supervisor (heartbeat, new links, stop).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from fairlead_scoring.errors import RuntimeFault
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker import link
from fairlead_scoring.worker.control import Control
from fairlead_scoring.worker.loop import serve
from fairlead_scoring.worker.output import INIT_ID, REQUEST_ID, take_over
from fairlead_scoring.worker.script import Script, ScriptFault, load
from fairlead_scoring.worker.step import Overdue, Step
from fairlead_scoring.worker.warm_up import AnswerOne, Recorded, warm_up

_RARELY = 50_000  # what a script imports and loads stays: looking through it for garbage, again and again, takes a tenth of the start


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="fairlead_scoring worker")
    parser.add_argument("--fd", type=int, required=True, help="the link to the supervisor")
    options = parser.parse_args(arguments)
    supervisor = link.Link(socket.socket(fileno=options.fd))
    os.set_inheritable(options.fd, False)  # nor is the log: what a script starts has no business with either
    config: Dict[str, Any] = json.loads(bytes(supervisor.receive().payload))
    os.set_inheritable(config["log"]["fd"], False)
    lines = LineWriter(config["log"]["fd"], form=config["log"]["form"], level=config["log"]["level"], about=config["log"]["about"])
    control = Control(supervisor, lines, beat_seconds=config["beat_seconds"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when a worker ends
    often = gc.get_threshold()
    gc.set_threshold(_RARELY)
    try:
        contract, serve_all = _boot(config, lines)
    except RuntimeFault as fault:
        said = {"message": str(fault), "frames": getattr(fault, "frames", ""), "exit_code": fault.exit_code}
        control.tell(link.FAILED, dict(said, stage=fault.stage, cause=fault.cause))
        return fault.exit_code
    gc.freeze()
    if gc.get_threshold()[0] == _RARELY:  # else the script has chosen
        gc.set_threshold(*often)
    signal.signal(signal.SIGTERM, _interrupt(control))
    control.tell(link.READY, contract)
    return serve_all(control)


def _interrupt(control: Control) -> Any:
    def overdue(_signal: int, _frame: Any) -> None:
        if control.running_since is not None:
            raise Overdue

    return overdue


def _boot(config: Dict[str, Any], lines: LineWriter) -> Tuple[Dict[str, Any], Callable[[Control], int]]:
    """The contract, and what serves until the end."""
    app_root = Path(config["app_root"])
    os.chdir(str(app_root))
    entry = Path(config["entry_script"]) if config["entry_script"] else None
    folders = [app_root] + ([entry.parent] if entry else [])
    take_over(lines, config["log"]["level"], folders)
    REQUEST_ID.set(INIT_ID)
    script = load(entry, app_root, Path(config["source_dir"]) if config["source_dir"] else None, options=config["options"])
    started = time.perf_counter()
    initialise(script, config.get("flavor"))
    contract = script.contract()
    contract["load_ms"] = round((time.perf_counter() - started) * 1000, 3)
    contract["python"] = platform.python_version()
    contract["model"] = dict(config["model"], **contract.get("model", {}))
    if config.get("sample") is not None:
        contract["sample"] = config["sample"]
    step = Step(script, contract, lines, timeout_ms=config["timeout_ms"])
    answer, serve_all = _synchronous(step) if not contract["async"] else _asynchronous(script, step)
    if config["warmup"]:
        recorded = Recorded(**config["recorded"]) if config.get("recorded") else None
        contract["warmup_ms"] = warm_up(script, contract, lines, answer, declared=config.get("sample") is not None, recorded=recorded)
    REQUEST_ID.set("")
    return contract, serve_all


def initialise(script: Script, flavor: Optional[Dict[str, str]]) -> None:
    """A flavor's script is Fairlead's own: what fails there is the model, and its name is what the user knows."""
    try:
        script.init()
    except ScriptFault as fault:
        cause = fault.__cause__
        if flavor is None or cause is None or isinstance(cause, ImportError):
            raise
        said = "{}: {}".format(type(cause).__name__, str(cause).rstrip(".")) if str(cause) else type(cause).__name__
        advice = "" if isinstance(cause, TypeError) else " It may be damaged or cut off, or from another version of its library: export it again."
        raise ScriptFault("The model {} could not be loaded ({}): {}.{}".format(flavor["file"], flavor["name"], said, advice), cause="init-raised") from cause


def _synchronous(step: Step) -> Tuple[AnswerOne, Callable[[Control], int]]:
    return (lambda other, request: other.answer([request])[0]), partial(serve, step)


def _asynchronous(script: Script, step: Step) -> Tuple[AnswerOne, Callable[[Control], int]]:
    from fairlead_scoring.worker import async_loop  # noqa: PLC0415  (asyncio costs 40 ms at the start; most scripts have no use for it)

    loop = async_loop.new_loop()
    return partial(async_loop.answer_whole, loop, script), partial(async_loop.serve_async, script, step, loop)


if __name__ == "__main__":
    sys.exit(main())

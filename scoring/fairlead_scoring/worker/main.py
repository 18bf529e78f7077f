"""A worker: one process in the user's environment that loads a script and scores what the front sends.

`init()` and `run()` run on the main thread. A helper thread talks to the supervisor (heartbeat, new links, stop).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from fairlead_scoring.errors import RuntimeFault
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker import link
from fairlead_scoring.worker.async_loop import serve_async
from fairlead_scoring.worker.control import Control
from fairlead_scoring.worker.loop import serve
from fairlead_scoring.worker.output import INIT_ID, REQUEST_ID, take_over
from fairlead_scoring.worker.script import load
from fairlead_scoring.worker.step import Overdue, Step
from fairlead_scoring.worker.warm_up import warm_up


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="fairlead_scoring worker")
    parser.add_argument("--fd", type=int, required=True, help="the link to the supervisor")
    options = parser.parse_args(arguments)
    supervisor = link.Link(socket.socket(fileno=options.fd))
    config: Dict[str, Any] = json.loads(bytes(supervisor.receive().payload))
    lines = LineWriter(config["log"]["fd"], form=config["log"]["form"], level=config["log"]["level"])
    control = Control(supervisor, beat_seconds=config["beat_seconds"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when a worker ends
    try:
        script, contract, step, loop = _boot(config, lines)
    except RuntimeFault as fault:
        control.tell(link.FAILED, {"message": str(fault), "frames": getattr(fault, "frames", ""), "exit_code": fault.exit_code})
        return fault.exit_code
    signal.signal(signal.SIGTERM, _interrupt(control))
    control.tell(link.READY, contract)
    if contract["async"]:
        return serve_async(script, step, control, loop)
    return serve(step, control)


def _interrupt(control: Control) -> Any:
    def overdue(_signal: int, _frame: Any) -> None:
        if control.running_since is not None:
            raise Overdue

    return overdue


def _boot(config: Dict[str, Any], lines: LineWriter) -> Any:
    app_root = Path(config["app_root"])
    os.chdir(str(app_root))
    entry = Path(config["entry_script"]) if config["entry_script"] else None
    folders = [app_root] + ([entry.parent] if entry else [])
    take_over(lines, config["log"]["level"], folders)
    REQUEST_ID.set(INIT_ID)
    script = load(entry, app_root, Path(config["source_dir"]) if config["source_dir"] else None, options=config["options"])
    started = time.perf_counter()
    script.init()
    contract = script.contract()
    contract["load_ms"] = round((time.perf_counter() - started) * 1000, 3)
    contract["python"] = platform.python_version()
    contract["model"] = dict(config["model"], **contract.get("model", {}))
    if config.get("sample") is not None:
        contract["sample"] = config["sample"]
    step = Step(script, contract, lines, timeout_ms=config["timeout_ms"])
    loop = asyncio.new_event_loop() if contract["async"] else None
    if config["warmup"]:
        contract["warmup_ms"] = warm_up(script, contract, lines, loop, declared=config.get("sample") is not None)
    REQUEST_ID.set("")
    return script, contract, step, loop


if __name__ == "__main__":
    sys.exit(main())

"""Where measured numbers are kept: one JSON file per command, read by report.py."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import HERE

RESULTS = HERE / "results"


def write(name: str, records: Sequence[dict[str, Any]]) -> Path:
    """The records with the command that made them and the machine's shape; prints where they are."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    command = shlex.join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]])
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    document = {"command": command, "date": time.strftime("%Y-%m-%d"), "machine": machine, "records": list(records)}
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"results: {path.relative_to(HERE.parent)}", flush=True)
    return path


def read(name: str) -> dict[str, Any] | None:
    """None when that command was not run yet."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text())
    return document

"""A service that is started with an options file and a control socket, and asked there."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live import Launcher, Service
from tests.waiting import until

SCRIPT = """
import os, time

def init():
    print("init", {version})

def run(data):
    return [{version}, os.environ.get("MODE")]
"""


@dataclass
class Steered:
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    service: Service = None  # type: ignore[assignment]

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "s.sock"

    @property
    def log(self) -> Path:
        return self.folder / "service.jsonl"

    def write(self, version: int | str, **options: Any) -> None:
        """Script and options of a version; a path in the file is relative to it."""
        script = self.folder / f"score-{version}.py"
        if not script.exists():
            script.write_text(SCRIPT.format(version=repr(version)))
        self.options |= {"entry_script": script.name, "revision": f"r{version}", "log_file": "service.jsonl", "control": "run/s.sock", **options}
        new = self.folder / "new.json"
        new.write_text(json.dumps(self.options))
        new.replace(self.folder / "options.json")

    def start(self, serve: Launcher, *arguments: str, ready: bool = True) -> Service:
        self.service = serve("--options", self.folder / "options.json", *arguments, ready=ready)
        return self.service

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Again, when the supervisor was exchanged in the midst of it."""
        line = json.dumps({"do": do, **more}).encode() + b"\n"
        answer = until(lambda: _said(self.socket, line), "an answer")
        told: dict[str, Any] = json.loads(answer)
        return told

    def reload(self, **more: Any) -> dict[str, Any]:
        """What became of it."""
        serial = self.ask("reload", **more)["serial"]
        until(lambda: (last := self.ask("status")["last"])["serial"] == serial and last["outcome"] != "trying", "the reload's outcome")
        last: dict[str, Any] = self.ask("status")["last"]
        return last

    def score(self) -> Any:
        return self.service.post("/score", 1).json()


def _said(path: Path, line: bytes) -> bytes:
    try:
        return said(path, line)
    except ConnectionResetError:
        return b""


def said(path: Path, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(line)
        with client.makefile("rb") as answers:
            return answers.readline()

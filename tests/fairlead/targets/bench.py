"""Bundles of one script, and a LocalTarget in a folder of its own that leaves no process behind."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from fairlead.bundles import Recipe, make
from fairlead.targets.local import LocalTarget
from fairlead.targets.types import Service
from tests.live import Reply, read_reply
from tests.waiting import until

SLOW = """
import json, os, time

def init():
    time.sleep({load})

def run(data):
    return {{"tag": json.loads(data)["tag"], "version": {version}, "variable": os.environ.get("VERSION"), "secret": secret()}}

def secret():
    folder = os.environ["FAIRLEAD_SECRETS_DIR"]
    with open(os.path.join(folder, "version")) as file:
        return file.read()
"""
PLAIN = """
import json

VERSION = {version!r}

def init():
    print("init of", VERSION)

def run(data):
    asked = json.loads(data)
    print("scoring", asked)
    return {{"tag": asked.get("tag"), "version": VERSION}}
"""


@dataclass
class LocalBench:
    folder: Path
    target: LocalTarget = field(init=False)
    made: int = 0

    def __post_init__(self) -> None:
        self.state = self.folder / "state"
        self.target = LocalTarget(self.state)

    def bundle(self, script: str) -> Path:
        self.made += 1
        source = self.folder / f"source-{self.made}"
        source.mkdir(parents=True)
        (source / "score.py").write_text(script)
        return make(Recipe(script=source / "score.py", name="m"), self.folder / f"bundle-{self.made}", _no_flavor).path

    def service(self, script: str = PLAIN.format(version=1), **changes: Any) -> Service:
        said: dict[str, Any] = {"handle": "fl-0000000a", "workspace": "default", "name": "churn", "revision": "r1", "generation": 1}
        return Service(**{**said, "bundle": self.bundle(script), "python": Path(sys.executable), **changes})

    def request(self, service: Service, path: str = "/score", body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        return ask(self.port(service.handle), path, body, headers)

    def port(self, handle: str) -> int:
        return int(str(self.target.observe(handle).endpoint).rpartition(":")[2])

    def processes(self) -> list[psutil.Process]:
        """Supervisors of this folder, and all that descends from them."""
        found = [one for one in psutil.process_iter() if str(self.state) in _command(one)]
        return [each for one in found for each in (one, *one.children(recursive=True))]

    def end(self) -> None:
        handles = [folder.name for folder in (self.state / "services").iterdir()] if (self.state / "services").is_dir() else []
        left = self.processes()
        for handle in handles:
            self.target.forget(handle)
        _, alive = psutil.wait_procs(left, timeout=20)
        for process in alive:
            process.kill()
        assert not alive, f"left behind: {alive}"


def ask(port: int, path: str = "/score", body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """One request on a connection of its own; GET without a body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, payload, {"content-type": "application/json", **(headers or {})})
        return read_reply(connection)
    finally:
        connection.close()


def told_to_stop(bench: LocalBench, handle: str) -> None:
    bench.target.stop(handle)
    until(lambda: not bench.processes(), "the service to end")


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _no_flavor(_path: Path) -> Any:
    raise AssertionError("a bundle with a script asks no flavor")

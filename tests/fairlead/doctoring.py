"""A service called `sick`, deployed by the command line, and what the doctor says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.deploying import ECHO, Done, Shell

STEPS = ["server", "service", "image", "start", "import", "model load", "readiness", "sample answer", "address", "auth"]


@dataclass(frozen=True)
class Told:
    """What the doctor said. `check`: the last one; `steps`: those that it looked at."""

    code: int
    first: str | None
    check: dict[str, Any]
    steps: list[str]


class Sick:
    """A service of that name."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def deploy(self, script: str = ECHO, *more: str | Path) -> Done:
        (self.shell.folder / "score.py").write_text(script)
        (self.shell.folder / "sample.json").write_text('{"x": 1}')
        return self.shell("deploy", "score.py", "-n", "sick", "--sample", "sample.json", *more)

    def doctor(self, *more: str | Path, env: Mapping[str, str] | None = None) -> Told:
        done = self.shell("service", "doctor", "sick", "--json", *more, env=env)
        told = json.loads(done.out)
        return Told(done.code, told["first_wrong"], told["checks"][-1], [each["step"] for each in told["checks"]])

    def show(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.shell.ok("service", "show", "sick", "--json"))
        return told

    def processes(self) -> list[psutil.Process]:
        """Supervisor, front and workers."""
        handle = self.show()["handle"]
        supervisors = [
            each for each in psutil.process_iter(["cmdline"]) if any(f"services/{handle}/options.json" in word for word in each.info["cmdline"] or [])
        ]
        return [each for one in supervisors for each in (one, *one.children(recursive=True))]

"""The commands of a page, run as they stand there: a reader with one terminal for the service and one for everything else.

Only the port is another: `http://127.0.0.1:5001` on the page is the address of the service that the test started.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.live import CLI, Launcher, Service

ADDRESS = "http://127.0.0.1:5001"  # what the pages say, because that is where `fairlead serve` listens
FENCE = re.compile(r"^```(\w*)$")
SHELL = ("shell", "sh", "bash")
SHOWN = ("json", "text")
ELLIPSIS = "…"
ROUNDED = 0.01  # pages round what they show; the exact answer is each test's own business


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its first line of text."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Ran:
    """A command that ended well, and what it printed on standard output."""

    command: str
    output: str

    def json(self) -> Any:
        return json.loads(self.output)


@dataclass
class Reader:
    """Follows a page from a folder. `ran`: the commands in the page's order; `service`: the one that is running now."""

    page: Path
    folder: Path
    serve: Launcher
    ran: list[Ran] = field(default_factory=list)
    _service: Service | None = None

    @property
    def service(self) -> Service:
        assert self._service, f"{self.page} serves nothing."
        return self._service

    def follow(self) -> Reader:
        """Run every shell block; a json or text block after one is what its last command prints."""
        found = blocks(self.page)
        for block, following in zip(found, [*found[1:], None], strict=True):
            if block.language not in SHELL:
                continue
            for command in commands(block.text):
                self.run(command)
            if following and following.language in SHOWN:
                compare(following, self.ran[-1].output, self.page)
        return self

    def run(self, command: str) -> None:
        words = shlex.split(command, comments=True)
        if words[:2] == ["fairlead", "serve"]:
            if self._service:
                self._service.stop()  # the page says Ctrl-C
            self._service = self.serve(*words[2:], command=CLI, cwd=self.folder, env=environment())
            return
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", self.addressed(command)], cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{self.page}: `{command}` ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
        self.ran.append(Ran(command, done.stdout))

    def addressed(self, command: str) -> str:
        return command.replace(ADDRESS, self._service.url) if self._service else command

    def answers(self, command: str = "curl") -> list[Any]:
        """What the commands with this word printed, parsed."""
        return [ran.json() for ran in self.ran if command in ran.command]


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    language, start, kept = "", 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if not start and fence:
            language, start, kept = fence.group(1), number + 1, []
        elif start and line == "```":
            found.append(Block(language, "\n".join(kept), start))
            start = 0
        elif start:
            kept.append(line)
    assert not start, f"{page}: the block that starts in line {start - 1} has no end."
    return found


def commands(text: str) -> Iterator[str]:
    """Whole commands, also those that go over several lines: a trailing backslash or pipe, an open quote, a here-document."""
    kept = ""
    for line in text.splitlines():
        kept = f"{kept}\n{line}" if kept else line
        if not _is_open(kept):
            if kept.strip() and not kept.lstrip().startswith("#"):
                yield kept
            kept = ""
    assert not kept, f"This command has no end: {kept}"


def compare(shown: Block, printed: str, page: Path) -> None:
    """JSON by value, numbers as rounded as pages show them; text line by line, … standing for anything."""
    where = f"{page}, line {shown.line}: the page shows another answer than\n{printed}"
    if shown.language == "json":
        assert _matches(json.loads(shown.text), json.loads(printed)), where
    else:
        pattern = ".*".join(re.escape(part) for part in shown.text.strip().split(ELLIPSIS))
        assert re.fullmatch(pattern, printed.strip(), re.DOTALL), where


def environment() -> dict[str, str]:
    """As in an activated virtual environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
    scripts = str(Path(sys.executable).parent)
    return kept | {"PATH": f"{scripts}{os.pathsep}{kept.get('PATH', '')}", "VIRTUAL_ENV": sys.prefix}


def _is_open(command: str) -> bool:
    if command.endswith(("\\", "|")):
        return True
    here = re.search(r"<<-?\s*['\"]?(\w+)", command)
    if here:
        return not re.search(rf"^\s*{here.group(1)}$", command, re.MULTILINE)
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False


def _matches(shown: Any, printed: Any) -> bool:
    if isinstance(shown, dict) and isinstance(printed, dict):
        return shown.keys() == printed.keys() and all(_matches(value, printed[key]) for key, value in shown.items())
    if isinstance(shown, list) and isinstance(printed, list):
        return len(shown) == len(printed) and all(map(_matches, shown, printed))
    if isinstance(shown, float) and isinstance(printed, float | int):
        return bool(printed == pytest.approx(shown, abs=ROUNDED))
    return type(shown) is type(printed) and bool(shown == printed)

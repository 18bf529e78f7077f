"""The commands of a page, run as they stand there: a reader with one terminal for the service and one for everything else.

Only the ports are others: 5001 on the page is the service that the test started, 5002 a free port. A command that ends in & is left running
until `end()`; it has to print something once it is up.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.live import CLI, Launcher, Service, free_port

SERVICE_PORT, OTHER_PORT = re.compile(r"\b5001\b"), re.compile(r"\b5002\b")  # what the pages say; the first is where `fairlead serve` listens
SETTING = re.compile(r"[A-Z_]+=")
FENCE = re.compile(r"^```(\w*)$")
SHELL = ("shell", "sh", "bash")
SHOWN = ("json", "text")
ELLIPSIS = "…"


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
    other_port: int = field(default_factory=free_port)
    _service: Service | None = None
    _left_running: list[subprocess.Popen[str]] = field(default_factory=list)

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
        command = self.with_ports(command)
        words = shlex.split(command, comments=True)
        settings = dict(word.split("=", 1) for word in itertools.takewhile(SETTING.match, words))
        rest = words[len(settings) :]
        if rest[:2] == ["fairlead", "serve"]:
            if self._service:
                self._service.stop()  # the page says Ctrl-C
            self._service = self.serve(*rest[2:], command=CLI, cwd=self.folder, env=environment() | settings)
        elif words[-1:] == ["&"]:
            self._leave_running(words[:-1])
        else:
            done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, f"{self.page}: `{command}` ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
            self.ran.append(Ran(command, done.stdout))

    def with_ports(self, command: str) -> str:
        own = SERVICE_PORT.sub(str(self._service.port), command) if self._service else command
        return OTHER_PORT.sub(str(self.other_port), own)

    def end(self) -> None:
        """End what was left running; the services are the launcher's."""
        for process in self._left_running:
            process.terminate()
            process.wait(10)
            assert process.stdout
            process.stdout.close()

    def _leave_running(self, words: list[str]) -> None:
        process = subprocess.Popen(words, cwd=self.folder, env=environment(), stdout=subprocess.PIPE, text=True)
        self._left_running.append(process)
        assert process.stdout
        assert process.stdout.readline(), f"{self.page}: `{shlex.join(words)}` ended with exit code {process.wait()}."

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
    """JSON by value, fractions to the digits that the page shows (the exact answer is each test's own business); in text … stands for anything."""
    where = f"{page}, line {shown.line}: the page shows another answer than\n{printed}"
    if shown.language == "json":
        assert _matches(json.loads(shown.text, parse_float=Decimal), json.loads(printed)), where
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
    if isinstance(shown, Decimal) and isinstance(printed, float | int):
        return abs(Decimal(printed) - shown) < Decimal(1).scaleb(int(shown.as_tuple().exponent))
    return type(shown) is type(printed) and bool(shown == printed)

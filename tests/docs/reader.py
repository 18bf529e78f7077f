"""A reader who does what a page says: runs its commands from top to bottom in an empty folder and compares what it says comes out.

In a page, the word after the fence says what is done with the block:

    sh              run by bash, all commands must succeed; variables last until the end of the page
    sh fails=N      the last command must end with exit code N
    sh serve        one command that goes on running; it is ready before the page goes on, and ends with the page or at the next `sh serve`
    LANGUAGE file=NAME   written to NAME
    text, json      right after `sh`: what it must say. Each line of a text, in this order, other lines may stand between; … stands for
                    anything. Of JSON, that of the last command: these keys with these values, "…" for any, fractions as rounded as the page has them.

A block inside an HTML comment is run like any other: the reader's preparation, which the page tells in words. $DOCS is the page's folder's root.
Ports of the page (PORTS) become free ones, but for the port inside a container (5001:5001 is such a pair). No other name for a shell (bash,
console …) is accepted, so nothing escapes.
What a page needs beyond this, such as Docker, it says in its second line: `surroundings`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.live import MARK, Service, free_port, kill_left
from tests.waiting import until

PORTS = ("5001", "8890", "9001")
READY = ("Ready.", " is live.")  # the log's word, and what the terminal shows when the log goes to a file
SHELLS = frozenset(("bash", "console", "shell", "shell-session", "zsh"))
FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
TIMEOUT = 180.0


@dataclass(frozen=True, kw_only=True)
class Block:
    """`output`: what the block must say, "" when the page does not tell."""

    language: str
    options: Mapping[str, str]
    text: str
    line: int
    output: str = ""
    output_is_json: bool = False

    @property
    def is_run(self) -> bool:
        return self.language == "sh"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page. Raises ValueError for one that would escape."""
    text = page.read_text(encoding="utf-8")
    found = [_block(page, text, match) for match in FENCE.finditer(text)]
    joined: list[Block] = []
    for block in found:
        before = joined[-1] if joined else None
        if before is not None and before.is_run and not before.output and block.language in ("text", "json") and "file" not in block.options:
            told = {"output": block.text, "output_is_json": block.language == "json"}
            joined[-1] = Block(**{**vars(before), **told})
        else:
            joined.append(block)
    return joined


def _block(page: Path, text: str, match: re.Match[str]) -> Block:
    line = text.count("\n", 0, match.start()) + 1
    language, *words = match[2].split() or [""]
    options = dict(word.partition("=")[::2] for word in words)
    if language in SHELLS or (language == "sh" and not options.keys() <= {"serve", "fails"}):
        raise ValueError(f"{page.name}:{line}: ```{match[2]}: write `sh`, with serve or fails=N.")
    indent = match[1]
    body = "".join(row.removeprefix(indent) for row in match[3].splitlines(keepends=True))
    return Block(language=language, options=options, text=body, line=line)


def missing(expected: str, output: str) -> str:
    """The first line of `expected` that `output` lacks, "" when all are there in their order."""
    rest = iter(_words(output))
    for wanted in _words(expected):
        pattern = re.compile(re.escape(wanted).replace("…", ".*"))
        if not any(pattern.fullmatch(line) for line in rest):
            return wanted
    return ""


def _words(text: str) -> Iterator[str]:
    return (" ".join(line.split()) for line in text.splitlines() if line.strip())


def fits(expected: Any, said: Any) -> bool:
    """Whether JSON has the keys and values that a page shows."""
    if expected == "…":
        return True
    if isinstance(expected, dict):
        return isinstance(said, dict) and all(key in said and fits(value, said[key]) for key, value in expected.items())
    if isinstance(expected, list):
        return isinstance(said, list) and len(expected) == len(said) and all(map(fits, expected, said))
    if isinstance(expected, float | Decimal) and isinstance(said, float):
        rounded = 10.0 ** int(expected.as_tuple().exponent) if isinstance(expected, Decimal) else 0.0
        return math.isclose(expected, said, rel_tol=1e-6, abs_tol=rounded)
    return type(expected) is type(said) and bool(expected == said)


class Reader:
    """Has a folder, a shell and at most one service; `follow` raises AssertionError where the page is wrong.

    ran: the blocks that bash ran, as they stand on the page, with what they said.
    """

    def __init__(self, folder: Path, docs: Path, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder / "reader"
        self.folder.mkdir()
        self._notes = folder
        self._ports = {port: str(free_port()) for port in PORTS}
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "AZUREML_", "AML_"))}
        venv = Path(sys.executable).parent
        self._environment.update(
            PATH=f"{venv}{os.pathsep}{os.environ['PATH']}",
            VIRTUAL_ENV=str(venv.parent),
            DOCS=str(docs),
            XDG_CACHE_HOME=str(folder / "cache"),
            FAIRLEAD_HOME=str(folder / "home"),
            UV_CACHE_DIR=os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),  # packages are fetched once, not once per page
        )
        self._environment.update(variables or {})
        self._mark = uuid.uuid4().hex  # the local server that a page starts, and its services, end with the page
        self._environment[MARK] = self._mark
        self._shell = Shell(self.folder, self._environment)
        self._services: list[Service] = []
        self.ran: list[tuple[str, str]] = []

    @property
    def service(self) -> Service:
        """The one that runs now."""
        return self._services[-1]

    def answers(self, words: str = "/score") -> list[Any]:
        """The JSON that the blocks with these words said."""
        return [answer for text, output in self.ran if words in text for answer in documents(output)]

    def follow(self, page: Path) -> None:
        for block in blocks(page):
            where = f"{page.name}:{block.line}"
            if "file" in block.options:
                target = self.folder / block.options["file"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(self._mapped(block.text), encoding="utf-8")
            elif block.is_run and "serve" in block.options:
                self._start(block, where)
            elif block.is_run:
                self._run(block, where)

    def close(self) -> None:
        self._shell.close()
        try:
            if self._services:
                self._services.pop().end()
        finally:
            kill_left(self._mark, self._notes)

    def _mapped(self, text: str) -> str:
        for port, free in self._ports.items():
            text = re.sub(rf"(?<!\d{{4}}:)\b{port}\b", free, text)
        return text

    def _run(self, block: Block, where: str) -> None:
        script = self._notes / f"line-{block.line}.sh"
        script.write_text(self._mapped(block.text), encoding="utf-8")
        wanted = int(block.options.get("fails", 0))
        code, output = self._shell.run(script, may_fail=wanted != 0)
        shown = f"{where}\n{block.text}said, with exit code {code}:\n{output}{self._log()}"
        assert code == wanted, shown
        self.ran.append((block.text, output))
        if block.output_is_json:
            assert fits(json.loads(self._mapped(block.output), parse_float=Decimal), _json(output, shown)), f"{shown}\nwhere the page has\n{block.output}"
        else:
            lacking = missing(self._mapped(block.output), output)
            assert not lacking, f"{shown}\nwhere the page has\n{lacking}"

    def _log(self) -> str:
        """What the service said last."""
        return "".join(f"\n| {line}" for service in self._services for line in service.log_lines[-8:])

    def _start(self, block: Block, where: str) -> None:
        if self._services:
            self._services.pop().end()
        command = "exec " + self._mapped(block.text).strip()
        if "--port" not in command:
            command = command.replace(" serve ", f" serve --port {self._ports['5001']} ", 1)
        log = self._notes / f"line-{block.line}.log"
        service = Service(("bash", "-c", command), int(self._ports["5001"]), log, self._environment, self.folder)
        self._services.append(service)

        def is_ready() -> bool:
            text = "\n".join(service.log_lines)
            assert service.process.poll() is None, f"{where}\n{block.text}ended with exit code {service.process.poll()}:\n{text}"
            return any(word in text for word in READY) and not missing(self._mapped(block.output), text)

        until(is_ready, f"{where}\n{block.text}to say\n{block.output or 'Ready.'}", timeout=60)


def documents(output: str) -> list[Any]:
    """What several commands printed one after the other, each a JSON document. Raises ValueError."""
    found, place = [], 0
    while output[place:].strip():
        place += len(output[place:]) - len(output[place:].lstrip())
        document, place = json.JSONDecoder().raw_decode(output, place)
        found.append(document)
    return found


def _json(output: str, shown: str) -> Any:
    try:
        return documents(output)[-1]
    except (IndexError, ValueError) as error:
        raise AssertionError(f"{shown}\nwhich is not JSON: {error}") from error


class Shell:
    """One bash for a whole page. Errors and output come together, as on a terminal."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )

    def run(self, script: Path, *, may_fail: bool) -> tuple[int, str]:
        """(exit code, output). Unless it may fail, the first command that fails ends the shell."""
        assert self._process.stdin is not None
        mark = f"-- {script.name} ended:"
        before, after = ("", "") if may_fail else ("set -eo pipefail; ", "set +eo pipefail; ")
        self._process.stdin.write(f"{before}source '{script}' </dev/null; code=$?; {after}printf '\\n%s %s\\n' '{mark}' $code\n".encode())
        self._process.stdin.flush()
        output = self._read(re.compile(re.escape(mark) + r" (\d+)\n").search)
        match = re.search(re.escape(mark) + r" (\d+)\n", output)
        if match is None:
            return self._process.wait(10), output
        return int(match[1]), output[: match.start()]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # a loop that waits for what never comes
        self._process.stdout.close()
        self._process.wait(10)

    def _read(self, is_over: Any) -> str:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        said, deadline = b"", time.monotonic() + TIMEOUT
        while not is_over(said.decode("utf-8", "replace")):
            ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(fd, 65536) if ready else b""
            if not piece:
                break
            said += piece
        return said.decode("utf-8", "replace")

"""Acts of the server's own program: `python -m fairlead.server NAME`, under the interpreter that the local server is pinned to."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fairlead import places
from fairlead.cli.output import Output
from fairlead.client import pinned_python
from fairlead.errors import FairleadError, error_class

Flags = Mapping[str, Any]


def arguments(flags: Flags) -> list[str]:
    """Flags of the program; None and False are not said."""
    said = []
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            said.append(flag)
        elif value is not None and value is not False:
            said += [flag, str(value)]
    return said


def command(name: str, given: Sequence[str]) -> list[str]:
    python = pinned_python.choose(places.state_dir())
    return [python, "-m", "fairlead.server", name, "--local", *given]


def ask(name: str, given: Sequence[str], output: Output) -> dict[str, Any]:
    """Its answer; what it says meanwhile is shown. Raises the error that it ended with."""
    process = subprocess.Popen(command(name, given), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stdout is not None
    heard: list[str] = []
    listener = threading.Thread(target=_relay, args=(process.stderr, output, heard))
    listener.start()
    said = process.stdout.read()
    code = process.wait()
    listener.join()
    if code:
        raise _error(said, code, heard)
    answer: dict[str, Any] = json.loads(said)
    return answer


def captured(name: str, given: Sequence[str]) -> str:
    """What it writes. Raises the error that it ended with."""
    done = subprocess.run(command(name, given), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise _error(done.stdout, done.returncode)
    return done.stdout


def become(name: str, given: Sequence[str]) -> int:
    """Runs it with our own streams until it ends, or is interrupted."""
    process = subprocess.Popen(command(name, given))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the terminal told it too


def _error(said: str, code: int, heard: Sequence[str] = ()) -> FairleadError:
    try:
        told = json.loads(said)
        return error_class(str(told["type"]))(str(told["detail"]))
    except (ValueError, KeyError, TypeError):
        return FairleadError(f"The server's program ended with exit code {code}: {heard[-1] if heard else 'it said nothing'}")


def _relay(lines: Iterable[str], output: Output, heard: list[str]) -> None:
    for line in lines:
        heard.append(line.rstrip())
        if sys.stderr.isatty() or not line.startswith(" "):
            output.say(line.rstrip())

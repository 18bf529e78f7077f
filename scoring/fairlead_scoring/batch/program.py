"""A job of a batch service (1.C): its driver script is run once, with the values of its inputs, outputs and parameters as arguments.

Inputs that lie elsewhere are fetched before; outputs that go elsewhere are written beside, and published when the script has ended well.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from fairlead_scoring.batch import progress, workplace
from fairlead_scoring.batch.devices import cores
from fairlead_scoring.batch.endings import JobEnded, Stopped
from fairlead_scoring.batch.job import CANCEL, LOGS, Order
from fairlead_scoring.batch.places import open_place
from fairlead_scoring.batch.progress import Count, Failure, Record
from fairlead_scoring.batch.secrets import lay_out_for_script, read_secrets
from fairlead_scoring.errors import UsageFault

LOG = os.path.join("user", "driver.txt")
LOOK = 0.2
MERCY = 5.0
LAST_LINES = 50
STAGED = ".fairlead-new"


@dataclass(frozen=True)
class Parameter:
    """id: the flag, with its dashes. said: what the user gave, of which `value` is what the script gets. published: where an output goes in the end."""

    id: str
    value: str
    said: str
    is_output: bool = False
    credentials: Optional[str] = None


def drive(place: str, order: Order, record: Record, is_told: Callable[[], bool]) -> str:
    """A sentence. Raises JobEnded, Stopped, RuntimeFault."""
    if not order.program.get("driver"):
        raise UsageFault("The order names no driver; a job of kind program runs one.")
    work = os.path.join(place, "work")
    secrets = read_secrets(place)
    found = workplace.lay_out(order.bundle, os.path.join(work, "app"), verify=True)
    lay_out_for_script(place, os.path.join(work, "secrets"))
    record.change(state=progress.PLANNING, message="Inputs are fetched.")
    parameters = [_ready(each, number, work, secrets) for number, each in enumerate(order.program.get("parameters") or ())]
    record.change(state=progress.RUNNING, message="", unit="files", engine="local", shards=Count(0, 1), log=LOG)
    task = {"threads": cores(), "script_secrets": os.path.join(work, "secrets")}
    code = _run(place, order, _command(order, found, parameters), workplace.environment(found, order, task, {}), is_told)
    record.change(exit_code=code)
    if code:
        raise _failed(place, order, code)
    record.change(state=progress.PUBLISHING, message="Outputs are put in place.")
    for each in parameters:
        if each.is_output:
            _publish(each, secrets)
    record.change(shards=Count(1, 1))
    return f"The driver {order.program['driver']} has ended well."


def _ready(said: Mapping[str, Any], number: int, work: str, secrets: Mapping[str, Any]) -> Parameter:
    """With a local path where one is needed: the script opens it as a file."""
    name, value, credentials = str(said["id"]), str(said["value"]), said.get("credentials")
    if said.get("kind") != "Reference":
        return Parameter(name, value, value)
    path = workplace.local_path(value)
    if said.get("direction") == "Output":
        return Parameter(name, _stage(path, number, work, value), value, True, credentials)
    if path is not None:
        return Parameter(name, path, value)
    folder = os.path.join(work, "inputs", str(number))
    os.makedirs(folder)
    place = open_place(value, secrets.get(credentials or ""))
    fetched = [place.fetch(entry.url, folder) for entry in place.entries()]
    return Parameter(name, fetched[0] if len(fetched) == 1 else folder, value)


def _stage(path: Optional[str], number: int, work: str, value: str) -> str:
    """Beside where it goes: on the same disk, so that it gets its name in one step."""
    if path is None:
        folder = os.path.join(work, "outputs", str(number))
        os.makedirs(folder)
        return os.path.join(folder, os.path.basename(value.rstrip("/")) or "output")
    staged = os.path.join(os.path.dirname(os.path.abspath(path)), STAGED + "-" + os.path.basename(path.rstrip("/")))
    os.makedirs(os.path.dirname(staged), exist_ok=True)
    _remove(staged)
    return staged


def _publish(output: Parameter, secrets: Mapping[str, Any]) -> None:
    if not os.path.exists(output.value):
        said = f"The driver has ended well, and has not written {output.id}: it was to be a file or folder at the path that it was given."
        raise JobEnded(progress.FAILED, said, Failure("output-missing", said))
    path = workplace.local_path(output.said)
    if path is not None:
        _put(output.value, path)
        return
    place = open_place(output.said, secrets.get(output.credentials or ""))
    for inner in sorted(_files(output.value)):
        name = os.path.relpath(inner, output.value)
        with open(inner, "rb") as file, place.write("" if name == "." else name) as out:
            shutil.copyfileobj(file, out, 1 << 20)


def _put(staged: str, path: str) -> None:
    """What was there goes once the new is in its place; a folder cannot be replaced in one step, and is kept beside it until then."""
    aside = staged + "-before"
    if os.path.lexists(path) and (os.path.isdir(path) or os.path.isdir(staged)):
        _remove(aside)
        os.replace(path, aside)
    os.replace(staged, path)
    _remove(aside)


def _files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
    for folder, _, names in os.walk(path):
        yield from (os.path.join(folder, name) for name in names)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _command(order: Order, found: workplace.Workplace, parameters: List[Parameter]) -> List[str]:
    script = os.path.join(found.app_root, str(order.program["driver"]))
    return [sys.executable, script, *(word for each in parameters for word in (each.id, each.value)), *order.arguments]


def _run(place: str, order: Order, command: List[str], environment: Dict[str, str], is_told: Callable[[], bool]) -> int:
    """Its exit code; negative for a signal. Raises JobEnded when the job was canceled, Stopped."""
    del order
    log = os.path.join(place, LOGS, LOG)
    os.makedirs(os.path.dirname(log), exist_ok=True)
    life, their_life = socket.socketpair()
    with open(log, "ab") as output, life, their_life:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=environment["AML_APP_ROOT"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(their_life.fileno(),),
        )
        _end_with_us(their_life, process.pid)
        return _watched(place, process, is_told)


def _end_with_us(life: socket.socket, group: int) -> None:
    """SIGKILL to all that the script started when this process is gone, however: the next driver runs it again. What is set here is set for its copy, too."""
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETOWN, -group)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def _watched(place: str, process: subprocess.Popen[bytes], is_told: Callable[[], bool]) -> int:
    try:
        while True:
            try:
                return process.wait(LOOK)
            except subprocess.TimeoutExpired:
                pass  # it works
            if os.path.exists(os.path.join(place, CANCEL)):
                raise JobEnded(progress.CANCELED, "Canceled; no output was published.")
            if is_told():
                raise Stopped
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(MERCY)
        except (ProcessLookupError, PermissionError):
            break  # nothing is left
        except subprocess.TimeoutExpired:
            pass  # not so gently, then
    process.wait()


def _failed(place: str, order: Order, code: int) -> JobEnded:
    how = f"ended with exit code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"
    with open(os.path.join(place, LOGS, LOG), "rb") as file:
        file.seek(max(0, os.path.getsize(file.name) - 16384))
        lines = file.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:]
    said = f"The driver {order.program['driver']} {how}; what it said is in {LOGS}/{LOG}."
    return JobEnded(progress.FAILED, said, Failure("program-failed", said, tuple(lines)))

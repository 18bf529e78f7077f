"""The supervisor's records of its children, and how they are started (never by fork after import)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead_scoring.errors import BootFault, cause_of
from fairlead_scoring.worker import link

PACKAGE = str(Path(__file__).resolve().parent.parent)
LAST_LINES = 50


class Control:
    """The supervisor's end of a link to a child: writes are small and never block for long; reads are by selector."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.set_inheritable(False)  # it may come from a handoff, where it had to be
        self.sock = sock
        self.inbox = link.Inbox()
        self.is_open = True

    def tell(self, kind: int, message: dict[str, Any], fd: int | None = None) -> None:
        if not self.is_open:
            return
        data = memoryview(link.pack(kind, json.dumps(message).encode(), flags=link.WITH_FDS if fd is not None else 0))
        try:
            self.sock.settimeout(2.0)
            sent = link.send_some(self.sock, data, fd)
            if sent < len(data):
                self.sock.sendall(data[sent:])
        except OSError:
            self.is_open = False  # it is dead or stands still: its end is noticed elsewhere
        finally:
            self.sock.setblocking(False)

    def close(self) -> None:
        self.is_open = False
        self.sock.close()


@dataclass(kw_only=True)
class WorkerRecord:
    """States: starting → ready → retiring → stopping → (gone)."""

    ident: str
    pid: int
    generation: int
    revision: str
    control: Control
    state: str = "starting"
    started: float = field(default_factory=time.monotonic)
    last_beat: float = field(default_factory=time.monotonic)
    contract: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    reason: str = ""  # why the supervisor ended it
    kill_at: float | None = None
    is_child: bool = True  # False after adoption by a new supervisor
    output_fd: int | None = None
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    def told(self) -> dict[str, Any]:
        said = {"id": self.ident, "pid": self.pid, "generation": self.generation, "revision": self.revision, "state": self.state}
        return {**said, "reason": self.reason, "resident": resident_bytes(self.pid)}


@dataclass(kw_only=True)
class FrontRecord:
    pid: int
    control: Control
    is_up: bool = False
    is_linked: bool = False  # has its links to the ready workers
    is_draining: bool = False
    is_child: bool = True
    started: float = field(default_factory=time.monotonic)
    last_beat: float = field(default_factory=time.monotonic)
    failure: dict[str, Any] | None = None
    retiring: set[str] = field(default_factory=set)  # workers whose last answers it still waits for


def start_worker(ident: str, python: str, revision: Any, config: dict[str, Any], environment: dict[str, str], log_fd: int) -> WorkerRecord:
    """Raises BootFault when the interpreter cannot be started."""
    ours, theirs = link.pair()
    output, output_in = os.pipe()
    try:
        process = subprocess.Popen(
            [python, PACKAGE, "worker", "--fd", str(theirs.fileno())],
            env=environment,
            cwd=revision.app_root,
            stdin=subprocess.DEVNULL,
            stdout=output_in,
            stderr=output_in,
            pass_fds=(theirs.fileno(), log_fd),
            process_group=0,  # what a script starts ends with its worker
        )
    except OSError as error:
        os.close(output)
        ours.close()
        said = f"The interpreter {python} cannot be started ({error.strerror}); name one with --python or --environment."
        raise BootFault(said, cause=cause_of(error, "interpreter-missing")) from error
    finally:
        theirs.close()
        os.close(output_in)
    control = Control(ours)
    control.tell(link.CONFIG, config)
    os.set_blocking(output, False)
    process.returncode = 0  # reaped by the supervisor itself
    return WorkerRecord(ident=ident, pid=process.pid, generation=revision.generation, revision=revision.name, control=control, output_fd=output)


def start_front(told: dict[str, Any], listeners: list[socket.socket], log_fd: int, kept_fds: tuple[int, ...]) -> FrontRecord:
    """`kept_fds`: what it holds for the next supervisor, should this one be killed. Raises BootFault when this machine has no process or descriptor left."""
    try:
        ours, theirs = link.pair()
    except OSError as error:
        raise _no_front(error) from error
    arguments = [sys.executable, PACKAGE, "front", "--fd", str(theirs.fileno())]
    fds = [theirs.fileno(), log_fd, *kept_fds]
    for listener in listeners:
        arguments += ["--listen-fd", str(listener.fileno())]
        fds.append(listener.fileno())
    try:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, pass_fds=fds)
    except OSError as error:
        ours.close()
        raise _no_front(error) from error
    finally:
        theirs.close()
    control = Control(ours)
    control.tell(link.CONFIG, {**told, "log_fd": log_fd})
    process.returncode = 0
    return FrontRecord(pid=process.pid, control=control)


def _no_front(error: OSError) -> BootFault:
    return BootFault(f"The front cannot be started ({error.strerror or error}); free processes, descriptors or memory.", cause=cause_of(error))


def adopted(told: dict[str, Any]) -> WorkerRecord:
    """A worker that an earlier supervisor started and handed over."""
    return WorkerRecord(
        ident=told["worker"],
        pid=told["pid"],
        generation=told["generation"],
        revision=told["revision"],
        control=Control(socket.socket(fileno=told["fd"])),
        state="ready",
        contract=told["contract"],
        is_child=told.get("is_child", False),
        output_fd=told.get("output_fd"),
    )


def version_of(python: str) -> tuple[int, int] | None:
    """(major, minor) of an interpreter of any age; None when it does not say."""
    program = "import sys; sys.stdout.write('%d %d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
        major, minor = done.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def send_signal(pid: int, signum: signal.Signals) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass  # it has ended by itself


def end_group(pid: int) -> None:
    """Whatever a worker that has ended left running."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing, as it should be


def end_of(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"ended by {signal.Signals(number).name}"
        except ValueError:
            return f"ended by signal {number}"
    return f"exited with {os.WEXITSTATUS(status)}"


def resident_bytes(pid: int) -> int | None:
    """Linux only; None elsewhere."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError):
        return None

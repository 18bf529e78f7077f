"""A scoring service as a process of its own, spoken to over real HTTP, that leaves nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.waiting import until

_WORKER, _WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PORTS = range(10_000 + _WORKER, 20_000, _WORKERS)  # each test process has its own: free_port finds a port, and somebody else binds it a moment later
_CANDIDATES = itertools.cycle(random.sample(_PORTS, len(_PORTS)))
RUNTIME = (sys.executable, "-m", "fairlead_scoring", "serve")
FAIRLEAD = Path(sys.executable).with_name("fairlead")
CLI = (FAIRLEAD, "serve")
MARK = "LIVE_SERVICE"  # in the environment of every process that a service starts; not FAIRLEAD_*, which a service would warn about


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; header names are lower case, repeated headers joined with a comma."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def is_marked(process: psutil.Process, mark: str) -> bool:
    """Whether a process, or one that started it, was given this mark in its environment."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def kill_left(mark: str, folder: Path) -> None:
    """End whatever carries the mark, and the deployed services whose state is below the folder: those inherit no mark, and outlive their server.

    All stand still before the first is killed: a front that outlived its supervisor would start another one.
    """
    for _ in range(5):  # what was started meanwhile is ended in the next round
        if not (left := _left(mark, folder)):
            return
        for act in (psutil.Process.suspend, psutil.Process.kill):
            for process in left:
                with contextlib.suppress(psutil.Error):
                    act(process)
        psutil.wait_procs(left, timeout=10)


def _left(mark: str, folder: Path) -> list[psutil.Process]:
    processes = [each for each in psutil.process_iter(["status"]) if each.info["status"] != psutil.STATUS_ZOMBIE]
    sessions = {_session(process) for process in processes if _names(process, folder)} - {None, os.getsid(0)}
    return [process for process in processes if is_marked(process, mark) or _session(process) in sessions]


def _names(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(word.startswith(f"{folder}/") for word in process.cmdline())
    except (psutil.Error, OSError):
        return False


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


class Service:
    """A running `serve`. Its standard output and error go to one file, `log`."""

    def __init__(self, command: tuple[str | Path, ...], port: int, log: Path, env: Mapping[str, str], cwd: Path | None = None) -> None:
        self.host, self.port, self.log = "127.0.0.1", port, log
        self.url = f"http://{self.host}:{port}"
        self.mark = uuid.uuid4().hex
        self.left_behind_timeout = 10.0
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
        with log.open("wb") as sink:
            self.process = subprocess.Popen(  # its own session: a Ctrl-C of pytest is not its business
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=inherited | dict(env) | {MARK: self.mark},
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log_lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The log lines that are JSON objects."""
        return [json.loads(line) for line in self.log_lines if line.startswith("{")]

    def connect(self, timeout: float = 30.0) -> http.client.HTTPConnection:
        """A connection to keep alive over several requests; the caller closes it."""
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, timeout: float = 30.0) -> Reply:
        """One request on a connection of its own. A body that is neither bytes nor str is sent as JSON."""
        sent = {"Content-Type": "application/json"} if body is not None else {}
        payload = body if body is None or isinstance(body, bytes | str) else json.dumps(body)
        connection = self.connect(timeout)
        try:
            connection.request(method, path, payload.encode() if isinstance(payload, str) else payload, sent | dict(headers or {}))
            return read_reply(connection)
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("POST", path, body, headers)

    def wait_ready(self, timeout: float = 60.0) -> Service:
        until(self._is_ready, f"{self.url}/readyz to answer 200; its log ends\n{self._tail()}", timeout=timeout)
        return self

    def wait_exit(self, timeout: float = 60.0) -> int:
        """The exit code of a service that ends by itself."""
        return self.process.wait(timeout)

    def wait_log(self, words: str, timeout: float = 30.0) -> str:
        """The first log line with these words, once it is there."""
        return until(lambda: next((line for line in self.log_lines if words in line), ""), f"{words!r} in the log", timeout=timeout)

    def stop(self, by: signal.Signals = signal.SIGTERM, timeout: float = 30.0) -> int:
        """Ask it to end and return its exit code; a second call only returns the code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(timeout)

    def processes(self) -> list[psutil.Process]:
        """Every living process of this service, adopted ones included."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def end(self) -> None:
        """Stop it, and fail when it hangs or leaves a process behind; none is left in any case."""
        try:
            self.stop()
            until(lambda: not self.processes(), f"the processes of {self.url} to end with it: {self.processes()}", timeout=self.left_behind_timeout)
        finally:
            for process in self.processes():
                process.kill()
            self.process.wait(10)

    def _is_ready(self) -> bool:
        code = self.process.poll()
        assert code is None, f"The service ended with exit code {code} before it was ready; its log ends\n{self._tail()}"
        try:
            return self.request("GET", "/readyz", timeout=5).status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            return alive and (process.pid == self.pid or os.getsid(process.pid) == self.pid or is_marked(process, self.mark))
        except (psutil.Error, OSError):
            return False

    def _tail(self, lines: int = 30) -> str:
        return "\n".join(self.log_lines[-lines:])


class Launcher:
    """Starts services, each on a free port with a log of its own, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Service] = []

    def __call__(
        self,
        *arguments: str | Path,
        command: tuple[str | Path, ...] = RUNTIME,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: bool = True,
    ) -> Service:
        """Run `command *arguments --port N`. ready=False returns at once, for services that are slow or meant to fail."""
        port = free_port()
        log = self.folder / f"service-{len(self.started)}.log"
        service = Service((*command, *arguments, "--port", str(port)), port, log, env or {}, cwd)
        self.started.append(service)
        return service.wait_ready() if ready else service

    def end(self) -> None:
        faults = []
        for service in self.started:
            try:
                service.end()
            except (AssertionError, subprocess.TimeoutExpired) as fault:
                faults.append(str(fault))
        assert not faults, "\n".join(faults)


def free_port() -> int:
    """None twice, none of another test process, and below those that the system lends to outgoing connections: nobody else takes it meanwhile."""
    for port in _CANDIDATES:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("there are always more")


def read_reply(connection: http.client.HTTPConnection) -> Reply:
    """The next answer on a kept connection."""
    response = connection.getresponse()
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    return Reply(response.status, headers, response.read())

"""A control plane as a process of its own, with its own state folder, that leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from fairlead.client.transport import Transport
from tests.live import MARK, kill_left
from tests.waiting import until


class ControlPlane:
    """A running `python -m fairlead.server`. `home` is its FAIRLEAD_HOME: a CLI started with `env` uses this server and no other."""

    def __init__(self, home: Path, command: tuple[str, ...], env: Mapping[str, str], mark: str) -> None:
        self.home = home
        self.log = home / "server.log"
        self._command = command
        self._mark = mark
        self._given = dict(env)
        self.process = self._start()

    @property
    def env(self) -> dict[str, str]:
        """For a child that should talk to this server as its owner."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
        return inherited | {"FAIRLEAD_HOME": str(self.home), MARK: self._mark} | self._given

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def database_url(self) -> str:
        """For what only other parts of the server do."""
        given = dict(zip(self._command, self._command[1:], strict=False))
        return given.get("--database-url", f"sqlite:///{self.state / 'fairlead.db'}")

    @property
    def url(self) -> str:
        told: dict[str, Any] = json.loads((self.state / "server.json").read_text())
        return str(told["url"])

    @property
    def token(self) -> str:
        return (self.state / "owner.token").read_text().strip()

    def transport(self, token: str | None = None, workspace: str = "default") -> Transport:
        return Transport(self.url, token or self.token, workspace)

    def request(self, method: str, path: str, *, token: str | None = None, **how: Any) -> httpx2.Response:
        """Plain HTTP, without the client's ways. `token` "" sends none."""
        headers = dict(how.pop("headers", {}))
        if token != "":
            headers.setdefault("authorization", f"Bearer {token or self.token}")
        return httpx2.request(method, f"{self.url}{path}", headers=headers, timeout=30, trust_env=False, **how)

    def wait_ready(self) -> ControlPlane:
        until(self._is_ready, f"the server to answer; its log ends\n{self.log.read_text()[-3000:] if self.log.exists() else ''}", timeout=60)
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def restart(self) -> ControlPlane:
        """Start it again with the same state, after it was stopped or killed."""
        self.process.wait(10)
        (self.state / "server.json").unlink(missing_ok=True)
        self.process = self._start()
        return self.wait_ready()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as sink:
            return subprocess.Popen([sys.executable, *self._command], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=self.env, start_new_session=True)

    def _is_ready(self) -> bool:
        code = self.process.poll()
        assert code is None, f"The server ended with exit code {code}; its log ends\n{self.log.read_text()[-3000:]}"
        try:
            return self.request("GET", "/v1/readyz", token="").status_code == 200
        except (OSError, ValueError, httpx2.TransportError):
            return False


class ControlPlanes:
    """Starts control planes and ends them, with every process that they or their services have left."""

    def __init__(self, folder: Path, program: tuple[str, ...] = ("-m", "fairlead.server")) -> None:
        self._folder = folder
        self._program = program
        self._mark = uuid.uuid4().hex
        self._started: list[ControlPlane] = []

    def __call__(self, *arguments: str, database_url: str | None = None, env: Mapping[str, str] | None = None, home: Path | None = None) -> ControlPlane:
        return self._begin(arguments, database_url, env or {}, home).wait_ready()

    def at_once(self, count: int, *arguments: str, database_url: str) -> list[ControlPlane]:
        """Several servers of one database, none of which waits for another."""
        begun = [self._begin(arguments, database_url, {}, None) for _ in range(count)]
        return [each.wait_ready() for each in begun]

    def _begin(self, arguments: tuple[str, ...], database_url: str | None, env: Mapping[str, str], home: Path | None) -> ControlPlane:
        where = home or self._folder / str(len(self._started))
        where.mkdir(exist_ok=True)
        told = ("--database-url", database_url, *arguments) if database_url else arguments
        self._started.append(ControlPlane(where, (*self._program, *told), env, self._mark))
        return self._started[-1]

    def end(self) -> None:
        try:
            for each in self._started:
                each.stop()
        finally:
            kill_left(self._mark, self._folder)

"""A service in the background of this program."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx2

from fairlead.errors import BootFailure, UsageError
from fairlead.sdk import scoring

START_SECONDS = 120.0
STOP_SECONDS = 15.0
LOG = "service.log"


class LiveService:
    """What `fairlead.serve` gives: `url`, `run`, `get_logs`, `stop`. A context manager; it ends with the program at the latest.

    >>> service = fairlead.serve("churn.pkl")
    >>> service.url
    'http://127.0.0.1:40021'
    >>> service.stop()
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.port = port
        self._process = process
        self._log = Path(folder.name) / LOG
        self._ending = weakref.finalize(self, _end, process, folder)

    @classmethod
    def start(cls, path: Path, folder: tempfile.TemporaryDirectory[str], sample: str | None, *, port: int | None, workers: int) -> Self:
        """Returns when it answers. Raises BootFailure with the last lines of its log."""
        chosen = port if port is not None else _free_port()
        command = [sys.executable, "-m", "fairlead", "serve", str(path.absolute()), "--environment", sys.executable, "--port", str(chosen)]
        command += ["--workers", str(workers)]
        if sample is not None:
            request = Path(folder.name) / "sample.json"
            request.write_text(sample, encoding="utf-8")
            command += ["--sample", str(request)]
        with (Path(folder.name) / LOG).open("wb") as sink:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=_environment(), start_new_session=True)
        service = cls(process, chosen, folder)
        try:
            service._wait_ready()
        except BaseException:
            service.stop()
            raise
        return service

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def scoring_uri(self) -> str:
        return f"{self.url}/score"

    @property
    def swagger_uri(self) -> str:
        return f"{self.url}/swagger.json"

    @property
    def state(self) -> str:
        """Healthy while it runs, Stopped after that."""
        return "Healthy" if self._process.poll() is None else "Stopped"

    def run(self, input_data: str | bytes | Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """Scores one request; without data the service's own sample.

        >>> service.run({"data": [[1, 2]]})
        """
        if self.state == "Stopped":
            raise UsageError("The service has ended; start it again with fairlead.serve().")
        return scoring.score(self.scoring_uri, None, input_data)

    def get_logs(self, num_lines: int = 200) -> str:
        """The last lines that it has said.

        >>> print(service.get_logs())
        """
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-num_lines:])

    def stop(self) -> None:
        """Answers what is in hand and ends. Twice is fine.

        >>> service.stop()
        """
        self._ending()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"LiveService(url={self.url!r}, state={self.state!r})"

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._is_ready():
                return
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        lines = self.get_logs(20).splitlines()
        said = next((line for line in reversed(lines) if line.startswith("fairlead: ")), lines[-1] if lines else "it said nothing")
        raise BootFailure(f"The service did not start: {said.removeprefix('fairlead: ')}", log_lines=lines)

    def _is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False


def _end(process: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    folder.cleanup()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    """Modules beside the program are found by the service too."""
    here = [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, here))}

"""A served script under fault: what tests do to it, and what it says about itself."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.live import Launcher, Service
from tests.waiting import until


@dataclass
class Subject:
    """folder holds score.py; log_file is where the service writes its JSON lines."""

    folder: Path
    service: Service
    log_file: Path

    @property
    def port(self) -> int:
        return self.service.port

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.service.get("/status").json()
        return answer

    def workers(self) -> dict[str, int]:
        """Process ids of the workers that are ready, by their names."""
        return {worker["id"]: worker["pid"] for worker in self.status()["workers"] if worker["state"] == "ready"}

    def tell_supervisor(self, number: signal.Signals) -> None:
        os.kill(self.status()["supervisor_pid"], number)

    def write(self, script: str) -> None:
        """Whole, or not at all: a reload never sees half a script."""
        new = self.folder / "score.py.new"
        new.write_text(script)
        new.rename(self.folder / "score.py")

    def reload(self, script: str, *, timeout: float = 30.0) -> None:
        """Until the new version serves and the workers of the old one are gone."""
        generation = self.status()["generation"]
        self.write(script)
        self.hang_up()
        until(lambda: self._serves_only_after(generation), "the new generation alone to serve", timeout=timeout)

    def hang_up(self) -> None:
        """SIGHUP: a reload, whatever comes of it."""
        self.tell_supervisor(signal.SIGHUP)

    def log_text(self) -> str:
        """The service's JSON lines, and what its processes printed."""
        return self.log_file.read_text(errors="replace") + self.service.log.read_text(errors="replace")

    def resident(self) -> int:
        """Bytes of all processes together; shared pages are counted more than once."""
        return sum(process.memory_info().rss for process in self.service.processes())

    def front_spent(self) -> float:
        """Seconds of a processor that the front has used: what else runs on the machine does not count."""
        times = psutil.Process(self.status()["front_pid"]).cpu_times()
        return float(times.user + times.system)

    def descriptors(self) -> int:
        """Open files of front and supervisor."""
        status = self.status()
        return sum(psutil.Process(status[name]).num_fds() for name in ("front_pid", "supervisor_pid"))

    def end(self) -> None:
        """Also when its first supervisor was killed and another one has taken over."""
        if self.service.process.poll() is None:
            return
        try:
            self.tell_supervisor(signal.SIGTERM)
        except (OSError, http.client.HTTPException, KeyError, TypeError):
            return
        until(lambda: not self.service.processes(), "the adopted service to end on SIGTERM", timeout=15)

    def _serves_only_after(self, generation: int) -> bool:
        """Failed reloads use up numbers, so the new one is only known to be greater."""
        status = self.status()
        now = status["generation"]
        return now > generation and all((worker["generation"], worker["state"]) == (now, "ready") for worker in status["workers"])


@dataclass
class Subjects:
    """Starts subjects; the fixture ends them."""

    launch: Launcher
    folder: Path
    started: list[Subject] = field(default_factory=list)

    def __call__(self, script: str, *arguments: str, workers: int = 1, env: Mapping[str, str] | None = None, ready: bool = True) -> Subject:
        folder = self.folder / f"app-{len(self.started)}"
        (folder / "model").mkdir(parents=True)
        (folder / "score.py").write_text(script)
        log_file = folder / "service.jsonl"
        options = ["--entry-script", "score.py", "--app-root", str(folder), "--model-dir", str(folder / "model")]
        options += ["--workers", str(workers), "--log-file", str(log_file), *arguments]
        service = self.launch(*options, env=env, cwd=folder, ready=ready)
        subject = Subject(folder, service, log_file)
        self.started.append(subject)
        return subject

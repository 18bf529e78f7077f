"""The workers: started, watched, replaced. A new generation takes over only when all of it is ready; the old one then finishes what it has."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fairlead_scoring.errors import BootFault
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.supervisor.child import WorkerRecord, end_group, send_signal, start_worker, version_of
from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.supervisor.revision import Revision, worker_config, worker_environment
from fairlead_scoring.worker import link

KILL_AFTER = 1.0  # between SIGTERM and SIGKILL
STOP_AFTER = 10.0  # for an idle worker to end when asked
BEATS_MISSED = 2
OLDEST_PYTHON = (3, 8)
BOOT_BEATS_MISSED = 12
BACKOFF_FIRST, BACKOFF_MOST, BACKOFF_FORGET = 0.0, 30.0, 60.0


class Crew:
    """`attach(record)` gives a ready worker to the fronts, `retire(id)` takes one away, `gone(id)` says that one has ended; set by the supervisor."""

    def __init__(self, options: ServeOptions, lines: LineWriter) -> None:
        self._options = options  # of the generation that serves, or is to be the first
        self._orders: dict[int, ServeOptions] = {}  # of each generation
        self._lines = lines
        self.switched: Callable[[ServeOptions, str], None]  # a new generation serves from now on; its revision
        self.refused: Callable[[dict[str, Any]], None]  # the newest generation does not start, and why
        self.last_lines: Callable[[str], list[str]]  # of a worker, from the log
        self.attach: Callable[[WorkerRecord], None]
        self.retire: Callable[[str], None]
        self.gone: Callable[[str], None]
        self.workers: dict[str, WorkerRecord] = {}
        self.revisions: dict[int, Revision] = {}
        self.active = 0  # the generation that serves; 0 before the first is ready
        self.wanted = 0  # the newest generation that was started
        self.restarts = 0
        self.ends: dict[str, int] = {}
        self.reason = ""  # the last thing that went wrong with a worker or a reload
        self.boot_failure: dict[str, Any] | None = None
        self.on_started: Callable[[WorkerRecord], None]
        self._next = 1
        self._backoff = BACKOFF_FIRST
        self._last_end = 0.0
        self._start_at: list[float] = []

    # Starting.
    def begin(self, revision: Revision, options: ServeOptions) -> None:
        """Start a generation. Raises BootFault when its interpreter cannot be started."""
        self.give_up()
        self.revisions[revision.generation] = revision
        self._orders[revision.generation] = options
        self.wanted = revision.generation
        try:
            for _ in range(options.workers):
                self._start(revision)
        except BootFault:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Whatever generation is on its way: the one that serves goes on alone."""
        if self.wanted > self.active:
            self._abandon(self.wanted)
            self.wanted = self.active
            self._tidy_revisions()

    def go_on(self, options: ServeOptions) -> None:
        """The same workers with options that do not concern them."""
        self.give_up()
        self._options = self._orders[self.active] = options
        self.reason = ""

    def _start(self, revision: Revision) -> None:
        ident = f"w{self._next}"
        self._next += 1
        options = self._orders[revision.generation]
        config = worker_config(revision, options, ident, self._lines, is_candidate=revision.generation > self.active)
        record = start_worker(ident, options.python, revision, config, worker_environment(revision, options), self._lines.fd)
        self.workers[ident] = record
        self.on_started(record)

    def adopt(self, record: WorkerRecord, revision: Revision) -> None:
        """One that was started by an earlier supervisor."""
        self.revisions.setdefault(revision.generation, revision)
        self._orders[revision.generation] = self._options
        self.workers[record.ident] = record
        self.active = self.wanted = max(self.active, record.generation)
        self._next = max(self._next, int(record.ident[1:]) + 1)

    # What workers say.
    def ready(self, record: WorkerRecord, contract: dict[str, Any]) -> None:
        record.contract = contract
        record.state = "ready"
        if record.generation == self.active:
            self.attach(record)
        elif record.generation == self.wanted:
            self._switch_if_complete()

    def failed(self, record: WorkerRecord, failure: dict[str, Any]) -> None:
        record.failure = failure
        record.reason = failure["message"]

    def _switch_if_complete(self) -> None:
        new = [record for record in self.workers.values() if record.generation == self.wanted]
        options = self._orders[self.wanted]
        if len([record for record in new if record.state == "ready"]) < options.workers:
            return
        self.active = self.wanted
        self._options = options
        self.reason = ""
        self._backoff = BACKOFF_FIRST
        self.switched(options, new[0].revision)
        for record in new:
            self.attach(record)
        for record in self.workers.values():
            if record.generation < self.active and record.state in ("ready", "starting"):
                self._dismiss(record)
        said = {"revision": new[0].revision, "generation": self.active, "workers": len(new)}
        self._lines.say("info", "supervisor", f"Revision {new[0].revision} serves.", **said)

    def _dismiss(self, record: WorkerRecord) -> None:
        if record.state == "ready":
            record.state = "retiring"
            self.retire(record.ident)
        else:
            self.stop(record)

    def retired(self, ident: str) -> None:
        """The front has the worker's last answer."""
        record = self.workers.get(ident)
        if record is not None and record.state == "retiring":
            self.stop(record)

    def stop(self, record: WorkerRecord) -> None:
        """One that is loaded ends by itself; one that is still in init() has nothing to finish."""
        is_loaded = record.state != "starting"
        record.state = "stopping"
        if is_loaded:
            record.control.tell(link.STOP, {})
        else:
            send_signal(record.pid, signal.SIGTERM)
        record.kill_at = time.monotonic() + (STOP_AFTER if is_loaded else KILL_AFTER)

    # When one ends.
    def ended(self, record: WorkerRecord, how: str) -> None:
        self.workers.pop(record.ident, None)
        end_group(record.pid)
        self.gone(record.ident)
        self._tidy_revisions()
        if record.state in ("stopping", "retiring"):
            return
        reason = record.reason or how
        self.ends[_kind(record, how)] = self.ends.get(_kind(record, how), 0) + 1
        self.reason = f"Worker {record.ident} (pid {record.pid}): {reason}"
        last = "\n".join(record.last_lines)
        self._lines.say("error", "supervisor", self.reason, last_lines=last)
        if record.generation > self.active:
            self._boot_failed(record, how)
        elif record.generation == self.active:
            self._plan_restart()

    def _boot_failed(self, record: WorkerRecord, how: str) -> None:
        """A generation that never served: the first ends the service, a later one leaves the old one serving."""
        failure = record.failure or self._why_it_did_not_start(record, how)
        if "is older than" not in failure["message"]:
            failure["last_lines"] = self.last_lines(record.ident) or list(record.last_lines)
        if record.generation != self.wanted:
            return
        if self.active == 0:
            self.boot_failure = failure
            return
        self.give_up()
        self.reload_failed(failure)

    def _why_it_did_not_start(self, record: WorkerRecord, how: str) -> dict[str, Any]:
        """It ended without a word: its Python may be too old to speak, or the script or a signal ended the process."""
        python, script = self._orders[record.generation].python, self.revisions[record.generation].entry_script
        version = version_of(python)
        if version and version < OLDEST_PYTHON:
            said, oldest = (".".join(map(str, one)) for one in (version, OLDEST_PYTHON))
            message = f"{python} is Python {said}, which is older than {oldest}, the oldest that a worker runs on. Name another environment."
            return {"message": message, "exit_code": 3, "cause": "interpreter-missing"}
        if record.reason:
            return {"message": f"The worker was ended while it loaded {script}: {record.reason}.", "exit_code": 3, "cause": "init-stuck"}
        why = "something in the script, or in a library, ended the whole process without an exception"
        if how.endswith(signal.SIGKILL.name):
            why = "somebody killed it, or the system did because memory ran out"
        cause = "killed" if how.endswith(signal.SIGKILL.name) else "worker-ended"
        return {"message": f"The worker {how} while it loaded {script}: {why}.", "exit_code": 3, "cause": cause}

    def _abandon(self, generation: int) -> None:
        for record in list(self.workers.values()):
            if record.generation == generation:
                record.state = "stopping"
                record.kill_at = time.monotonic() + KILL_AFTER
                send_signal(record.pid, signal.SIGTERM)

    def reload_failed(self, failure: dict[str, Any]) -> None:
        self.reason = f"The reload failed, the old revision goes on serving: {failure['message']}"
        self._lines.say("error", "supervisor", self.reason, frames=failure.get("frames", ""), cause=failure.get("cause", ""))
        self.refused(failure)

    def _plan_restart(self) -> None:
        now = time.monotonic()
        if now - self._last_end > BACKOFF_FORGET:
            self._backoff = BACKOFF_FIRST
        self._last_end = now
        self._start_at.append(now + self._backoff)
        self._backoff = min(BACKOFF_MOST, max(0.25, self._backoff * 2))

    def _tidy_revisions(self) -> None:
        for generation in list(self.revisions):
            alive = any(record.generation == generation for record in self.workers.values())
            if not alive and generation not in (self.active, self.wanted):
                self.revisions.pop(generation).discard()
                self._orders.pop(generation, None)

    # Looking after them, several times a second.
    def look_after(self, now: float) -> None:
        for record in list(self.workers.values()):
            self._check_beat(record, now)
            if record.kill_at is not None and now >= record.kill_at:
                record.kill_at = None
                send_signal(record.pid, signal.SIGKILL)
        due = [moment for moment in self._start_at if moment <= now]
        self._start_at = [moment for moment in self._start_at if moment > now]
        for _ in due:
            if sum(record.generation == self.active for record in self.workers.values()) < self._options.workers:
                self.restarts += 1
                self._restart()

    def _restart(self) -> None:
        try:
            self._start(self.revisions[self.active])
        except BootFault as fault:
            self.reason = str(fault)
            self._plan_restart()

    def _check_beat(self, record: WorkerRecord, now: float) -> None:
        missed = BOOT_BEATS_MISSED if record.state == "starting" else BEATS_MISSED
        if record.kill_at is None and record.state != "stopping" and now - record.last_beat > missed * self._options.beat_seconds:
            silent = now - record.last_beat
            record.reason = f"no heartbeat for {silent:.1f} s (stopped, or code that holds the interpreter lock)"
            record.kill_at = now
            if record.state == "retiring":
                record.state = "stopping"

    def overdue(self, ident: str, milliseconds: int) -> None:
        """The front says that run() has passed its deadline: interrupt it, and end it if that does not help."""
        record = self.workers.get(ident)
        if record is not None:
            record.reason = f"run() was still busy after {milliseconds} ms, past its deadline"
            self.reason = f"Worker {ident} (pid {record.pid}): {record.reason}"
            self._lines.say("warning", "supervisor", self.reason)
            send_signal(record.pid, signal.SIGTERM)
            record.kill_at = time.monotonic() + KILL_AFTER

    def recovered(self, ident: str) -> None:
        record = self.workers.get(ident)
        if record is not None and record.state in ("ready", "retiring"):
            record.kill_at = None
            record.reason = ""

    @property
    def expects_worker(self) -> bool:
        """Whether one that can score is there or will be within a usual start."""
        soon = time.monotonic() + 5.0
        return any(record.state in ("starting", "ready") for record in self.workers.values()) or any(at <= soon for at in self._start_at)

    @property
    def is_settled(self) -> bool:
        """Whether every worker is known to the front, none starting and none on its way out."""
        return self.active > 0 and self.wanted == self.active and all(record.state == "ready" for record in self.workers.values()) and not self._start_at

    def next_timer(self) -> float:
        times = [record.kill_at for record in self.workers.values() if record.kill_at is not None] + self._start_at
        return min(times, default=time.monotonic() + 1.0)

    def kill_all(self) -> None:
        for record in self.workers.values():
            record.state = "stopping"
            send_signal(record.pid, signal.SIGKILL)

    def told(self) -> dict[str, Any]:
        return {
            "generation": self.active,
            "reloading": self.wanted != self.active,
            "restarts": self.restarts,
            "ends": self.ends,
            "reason": self.reason,
            "workers": [record.told() for record in self.workers.values()],
            "expects_worker": self.expects_worker,
        }

    def ready_ones(self) -> list[WorkerRecord]:
        """Those of the active generation that can score."""
        return [record for record in self.workers.values() if record.state == "ready" and record.generation == self.active]

    def spec_of(self, record: WorkerRecord) -> dict[str, Any]:
        return asdict(self.revisions[record.generation])


def new_link(record: WorkerRecord) -> socket.socket:
    """A fresh link between this worker and a front: the worker gets one end now, the caller passes on the other."""
    front_end, worker_end = link.pair()
    record.control.tell(link.ATTACH, {}, fd=worker_end.fileno())
    worker_end.close()
    return front_end


def _kind(record: WorkerRecord, how: str) -> str:
    if "heartbeat" in record.reason:
        return "no heartbeat"
    if "deadline" in record.reason:
        return "deadline"
    if record.failure is not None:
        return "start failed"
    return how

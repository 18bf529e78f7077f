"""How far a job is, as PLACE/progress.json says it; what happened, as PLACE/events.jsonl; and the logs that ParallelRunStep would have written (P5)."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple

from fairlead_scoring.batch.job import EVENTS, LOGS, PROGRESS
from fairlead_scoring.batch.shards import Outcome

PLANNING, RUNNING, PUBLISHING, SUCCEEDED, FAILED, CANCELED = "planning", "running", "publishing", "succeeded", "failed", "canceled"
ENDED = (SUCCEEDED, FAILED, CANCELED)
EVENTS_OF = {
    PLANNING: "JobPlanning", RUNNING: "JobRunning", PUBLISHING: "JobPublishing", SUCCEEDED: "JobSucceeded", FAILED: "JobFailed", CANCELED: "JobCanceled",
}  # fmt: skip
EVERY = 0.5  # seconds between two writes of progress.json
WINDOW = 30.0  # seconds over which rows_per_second looks back


@dataclass(frozen=True)
class Failure:
    """cause: a code as of services, or too-many-failed, input-unfit, inputs-unusable, storage-failed, shard-lost, program-failed."""

    cause: str
    message: str
    log_lines: Tuple[str, ...] = ()
    stage: str = "running"


@dataclass(frozen=True)
class Count:
    done: int = 0
    total: Optional[int] = None
    failed: int = 0


@dataclass(frozen=True)
class Progress:
    """rows: items, which are files where files are scored, as `unit` says. Totals are None until they are known. Times: seconds since 1970."""

    state: str = PLANNING
    message: str = ""
    unit: str = "rows"
    shards: Count = Count()
    rows: Count = Count()
    files_total: Optional[int] = None
    bytes: Count = Count()
    mini_batches: int = 0
    rows_per_second: Optional[float] = None
    eta_seconds: Optional[float] = None
    tries: int = 0
    interruptions: int = 0
    starts: int = 1  # of drivers: 1, and those that went on after it
    failure: Optional[Failure] = None
    output: str = ""
    engine: str = ""
    started: Optional[float] = None
    updated: Optional[float] = None
    finished: Optional[float] = None
    notices: Tuple[str, ...] = ()
    exit_code: Optional[int] = None  # of a program
    log: str = ""  # of a program: the file below logs/ that has what it said

    def to_json(self) -> Dict[str, Any]:
        return asdict(self)


def read(place: str) -> Optional[Progress]:
    """None where no driver has been."""
    try:
        with open(os.path.join(place, PROGRESS), encoding="utf-8") as file:
            said: Dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    known: Dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items() if name in Progress.__dataclass_fields__}
    for name in ("shards", "rows", "bytes"):
        known[name] = Count(**(known.get(name) or {}))
    failure = known.get("failure")
    if isinstance(failure, dict):
        known["failure"] = Failure(**{**failure, "log_lines": tuple(failure.get("log_lines") or ())})
    return Progress(**known)


@dataclass
class Record:
    """The one writer of a job's progress, events and overview."""

    place: str
    now: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        before = read(self.place)
        if before is not None and before.state in ENDED:
            before = replace(before, started=None)
        started = time.time() if before is None or before.started is None else before.started
        starts = 1 if before is None else before.starts + 1
        interruptions = 0 if before is None else before.interruptions
        self.now = replace(self.now, started=started, starts=starts, interruptions=interruptions)
        self._written = 0.0
        self._seen: List[Tuple[float, int, int]] = []
        os.makedirs(os.path.join(self.place, LOGS, "sys", "error"), exist_ok=True)
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(started))
        self._overview = os.path.join(self.place, LOGS, f"job_progress_overview.{stamp}.txt")
        self.log("sys/master_role.txt", f"The driver starts (process {os.getpid()}, start {starts}).")

    def change(self, **said: Any) -> None:
        """A new state is written at once, the rest at most twice a second."""
        is_news = said.get("state", self.now.state) != self.now.state
        self.now = replace(self.now, **said)
        if is_news:
            self.event(EVENTS_OF[self.now.state], message=self.now.message, cause=self.now.failure.cause if self.now.failure else None)
        if is_news or time.monotonic() - self._written >= EVERY:
            self.write()

    def done(self, outcome: Outcome, bytes_: int) -> None:
        self.took(outcome)
        now = self.now
        self.change(
            shards=replace(now.shards, done=now.shards.done + 1),
            rows=replace(now.rows, done=now.rows.done + outcome.items, failed=now.rows.failed + outcome.failed),
            bytes=replace(now.bytes, done=now.bytes.done + bytes_),
            mini_batches=now.mini_batches + outcome.mini_batches,
            tries=now.tries + outcome.tries,
        )

    def took(self, outcome: Outcome) -> None:
        """One line of logs/perf/NODE/shards.csv."""
        folder = os.path.join(self.place, LOGS, "perf", outcome.node or "node")
        path = os.path.join(folder, "shards.csv")
        if not os.path.exists(path):
            os.makedirs(folder, exist_ok=True)
            self._append(path, "time,shard,mini_batches,items,failed,tries,seconds_read,seconds_run,seconds_write")
        counts = (outcome.shard, outcome.mini_batches, outcome.items, outcome.failed, outcome.tries)
        self._append(path, ",".join(map(str, (_stamp(), *counts, *(outcome.seconds.get(name, 0.0) for name in ("read", "run", "write"))))))

    def measure(self) -> None:
        """Speed and time left, from what this driver has seen."""
        clock = time.monotonic()
        self._seen = [each for each in self._seen if clock - each[0] <= WINDOW][-1000:] or self._seen[-1:]
        self._seen.append((clock, self.now.rows.done, self.now.bytes.done))
        first = self._seen[0]
        if clock - first[0] < EVERY:
            return
        rows, bytes_ = ((self.now.rows.done - first[1]) / (clock - first[0]), (self.now.bytes.done - first[2]) / (clock - first[0]))
        left = None if not self.now.bytes.total or bytes_ <= 0 else max(0.0, (self.now.bytes.total - self.now.bytes.done) / bytes_)
        self.now = replace(self.now, rows_per_second=round(rows, 1), eta_seconds=None if left is None else round(left, 1))

    def write(self) -> None:
        self._written = time.monotonic()
        if self.now.state == RUNNING:
            self.measure()
        self.now = replace(self.now, updated=time.time())
        path = os.path.join(self.place, PROGRESS)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.now.to_json(), file)
        os.replace(path + ".new", path)
        self._tell_overview()

    def event(self, kind: str, **said: Any) -> None:
        """said: message, node, cause, and whatever else."""
        line = json.dumps({"at": time.time(), "event": kind, **said}, default=str)
        self._append(os.path.join(self.place, EVENTS), line)

    def log(self, name: str, text: str) -> None:
        self._append(os.path.join(self.place, LOGS, name), f"{_stamp()} {text}")

    def _tell_overview(self) -> None:
        now = self.now
        of = "" if now.shards.total is None else f" of {now.shards.total}"
        speed = "" if now.rows_per_second is None else f", {now.rows_per_second:g} {now.unit} per second"
        eta = "" if now.eta_seconds is None else f", {now.eta_seconds:g} s left"
        text = f"{now.state}: {now.shards.done}{of} shards, {now.rows.done} {now.unit}, {now.rows.failed} failed, {now.tries} tried again{speed}{eta}"
        self._append(self._overview, f"{_stamp()} {text}")

    def _append(self, path: str, line: str) -> None:
        with open(path, "a", encoding="utf-8", errors="replace") as file:
            file.write(line + "\n")


def _stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

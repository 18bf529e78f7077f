"""A driver that scores nothing, and keeps to the contract of the place (`fairlead_scoring.batch.job`): `python fake_driver.py batch PLACE`.

What it does, the order's variables say: SHARDS, PAUSE (seconds a shard takes), DIE_AT (a shard after which it kills itself; DIES: how often), DIE_FIRST,
FAIL (a message, with escapes), NOTES (how many events it has at its end), SHOW (a secret whose content becomes the answer).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any


class Driver:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.order = json.loads((place / "job.json").read_text())
        self.said: dict[str, str] = self.order["variables"]
        self.output = Path(self.order["output"]["url"] if self.order["output"] else place / "output")
        self.total = int(self.said.get("SHARDS", "3"))
        self.output.mkdir(parents=True, exist_ok=True)

    @property
    def done(self) -> int:
        return len(list(self.output.glob("part-*.txt")))

    def run(self) -> int:
        self.log("begins")
        if "DIE_FIRST" in self.said:
            os.kill(os.getpid(), signal.SIGKILL)
        self.note("plan-made", message=f"{self.total} shards")
        self.tell("running")
        for number in range(self.done, self.total):
            if (self.place / "cancel").exists():
                self.tell("canceled")
                return 0
            self.score(number)
        if "FAIL" in self.said:
            said = self.said["FAIL"].encode().decode("unicode_escape")
            self.note("node-preempted", message=said, share=float("nan"))
            self.tell("failed", failure={"cause": "init-raised", "message": said, "log_lines": ["Traceback", said]})
            return 1
        for _ in range(int(self.said.get("NOTES", "0"))):
            self.note("node-preempted", message="x" * 20_000)
        self.tell("publishing")
        self.publish()
        self.tell("succeeded", output=str(self.output))
        return 0

    def score(self, number: int) -> None:
        threading.Event().wait(float(self.said.get("PAUSE", "0.01")))
        part = self.output / f"part-{number:05d}.txt"
        part.with_suffix(".new").write_text(self.answer(number))
        part.with_suffix(".new").rename(part)
        self.tell("running")
        deaths = self.place / "deaths"
        died = len(deaths.read_text()) if deaths.exists() else 0
        if str(number) == self.said.get("DIE_AT") and died < int(self.said.get("DIES", "1")):
            deaths.write_text("x" * (died + 1))
            os.kill(os.getpid(), signal.SIGKILL)

    def answer(self, number: int) -> str:
        if "SHOW" in self.said:
            return (self.place / "secrets" / self.said["SHOW"]).read_text()
        return f"answer {number}\n"

    def publish(self) -> None:
        parts = [{"path": each.name, "rows": 1, "bytes": each.stat().st_size, "sha256": _digest(each)} for each in sorted(self.output.glob("part-*.txt"))]
        bad = self.output / "_quarantine" / "part-00000.jsonl"
        bad.parent.mkdir(exist_ok=True)
        bad.write_text("{}\n")
        quarantine = [{"path": "_quarantine/part-00000.jsonl", "rows": 1, "bytes": 3, "sha256": _digest(bad)}]
        (self.output / "_manifest.json").write_text(json.dumps({"version": 1, "parts": parts, "quarantine": quarantine}))

    def tell(self, state: str, **more: Any) -> None:
        said = {
            "state": state,
            "shards": {"total": self.total, "done": self.done},
            "rows": {"total": None, "done": self.done * 10, "failed": 1},
            "rows_per_second": 10.0,
            "eta_seconds": 1.5,
            "interruptions": 0,
            "message": "",
        }
        beside = self.place / "progress.json.new"
        beside.write_text(json.dumps(said | more))
        beside.rename(self.place / "progress.json")

    def note(self, event: str, **more: Any) -> None:
        with (self.place / "events.jsonl").open("a") as events:
            events.write(json.dumps({"event": event, "at": "2026-01-02T03:04:05+00:00", "node": "node-0", **more}) + "\n")

    def log(self, line: str) -> None:
        path = self.place / "logs" / "user" / "stdout" / "node-0" / "process000.stdout.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as log:
            log.write(f"{line}\n")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    place = Path(sys.argv[2])
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 3
        sys.stdout.write("driver: begins\n")
        sys.stdout.flush()
        return Driver(place).run()


if __name__ == "__main__":
    sys.exit(main())

"""The log file is turned over under load, by size and by order, and no line is lost or cut."""

from __future__ import annotations

import json
from pathlib import Path

from fairlead_scoring.supervisor.log_file import KEPT

from tests.live import Launcher
from tests.scoring.supervisor.steered import Steered
from tests.traffic import Plan, Traffic
from tests.waiting import until

TALKING = """
import json

def init():
    pass

def run(data):
    tag = json.loads(data)["tag"]
    print("asked for", tag, "." * 200)
    return {"tag": tag}
"""


def test_no_line_is_lost_while_the_file_is_turned_over(serve: Launcher, tmp_path: Path) -> None:
    """Front and two workers write at once. Only as much is written as the kept files hold, so each line must be somewhere."""
    requests, limit = 1500, 256 * 1024
    (tmp_path / "score.py").write_text(TALKING)
    log = tmp_path / "service.jsonl"
    arguments = ("--app-root", str(tmp_path), "--workers", "2", "--log-file", str(log), "--log-max-bytes", str(limit))
    service = serve("--entry-script", tmp_path / "score.py", *arguments)
    with Traffic(Plan(port=service.port, connections=8, requests=requests, seconds=60)) as traffic:
        record = traffic.wait()
    assert not record.failed(), record.explain()
    service.stop()
    files = sorted(tmp_path.glob("service.jsonl*"))
    assert 2 <= len(files) <= KEPT + 1
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    printed = [int(line["message"].split()[2]) for line in lines if line["source"] == "print"]
    assert sorted(printed) == list(range(requests))
    answered = [line for line in lines if line["source"] == "request" and line["path"] == "/score"]
    assert len(answered) == requests  # how far a file outgrows its limit is up to how much is written between two looks at it


def test_old_files_go_and_the_service_goes_on_when_turning_over_fails(serve: Launcher, tmp_path: Path) -> None:
    steered = Steered(tmp_path)
    (tmp_path / "score-1.py").write_text(TALKING)
    steered.write(1, log_max_bytes=4096)
    service = steered.start(serve)
    for tag in range(200):
        service.post("/score", {"tag": tag})
        if tag % 20 == 0:
            until(lambda: steered.log.stat().st_size < 4096, "it to be turned over")
    assert {file.name for file in tmp_path.glob("service.jsonl*")} == {"service.jsonl", *(f"service.jsonl.{number}" for number in range(1, KEPT + 1))}
    steered.write(1, log_max_bytes=1_000_000, generation=2)
    steered.reload()
    size = steered.log.stat().st_size

    def grows() -> bool:
        """A worker that has not heard of the last turn yet writes to the file before."""
        service.post("/score", {"tag": "x" * 5000})
        return steered.log.stat().st_size > size + 5000

    until(grows, "the larger limit to hold")


def test_reopen_log_goes_on_in_a_new_file_in_every_process(serve: Launcher, tmp_path: Path) -> None:
    """For logrotate and its kin, which rename the file and then say so."""
    steered = Steered(tmp_path)
    (tmp_path / "score-1.py").write_text(TALKING)
    steered.write(1)
    service = steered.start(serve)
    steered.log.rename(tmp_path / "old")
    assert steered.ask("reopen-log") == {"ok": True, "message": ""}

    def sources() -> set[str]:
        """A process that has not heard of the turn yet writes to the file before."""
        service.post("/score", {"tag": 7})
        return {json.loads(line)["source"] for line in steered.log.read_text().splitlines()}

    until(lambda: sources() == {"print", "request"}, "the lines of the worker and those of the front")
    steered.write(2)
    steered.reload()
    assert "Revision r2 serves." in steered.log.read_text(), "so does the supervisor, and so do the workers that it starts"
    assert '"message": "init 2"' in steered.log.read_text()

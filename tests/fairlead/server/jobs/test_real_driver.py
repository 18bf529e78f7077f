"""The server's side and the driver's, together: what was asked for over REST is scored, in an environment that was locked and built for it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.client.transport import Transport
from fairlead.schemas.batch_services import BatchService, NewBatchService, NewServiceJob, Parameter
from fairlead.schemas.jobs import Job, JobLog, JobState, OutputPart
from fairlead.schemas.services import Code
from fairlead.schemas.wire import Page
from fairlead.sdk.uploads import upload_tree
from fairlead.stores import tree_of
from fairlead.testing.targets import FakeTarget
from tests.fairlead.server.jobs.given import asked, new_job, over
from tests.fairlead.server.services.desk import Desk, upload_script
from tests.waiting import until

BATCH = """
def init():
    pass


def run(mini_batch):
    return (mini_batch["a"] * 2 + mini_batch["b"]).tolist()
"""
DRIVER = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--input-data")
parser.add_argument("--output-data")
parser.add_argument("--factor")
told = parser.parse_args()
with open(told.input_data) as rows, open(told.output_data, "w") as out:
    next(rows)
    for line in rows:
        out.write(f"{int(line.split(',')[0]) * int(told.factor)}\\n")
"""
ROWS = [(number, number % 7) for number in range(1000)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, real_driver: None) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("real")
    started = Desk(folder / "desk", f"sqlite:///{folder}/fairlead.db", FakeTarget(), cache=folder / "cache", local=True).start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    path.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in ROWS))
    return path


def uploaded(owner: Transport, path: Path) -> str:
    return upload_tree(owner, tree_of(path), path)


def succeeded(owner: Transport, job: Job) -> Job:
    ended = over(owner, job.id, timeout=300)
    assert ended.state is JobState.SUCCEEDED, (ended.failure, owner.http.get(owner.path("jobs", job.id, "logs") + "/sys/driver.txt").json())
    return ended


def test_uploaded_rows_are_scored_and_the_answers_downloaded(desk: Desk, rows: Path, tmp_path: Path) -> None:
    code = upload_script(desk.owner, tmp_path / "code", BATCH)
    output = {"format": "csv", "keep": ["a"]}
    new = new_job(code, "scored", script="score.py", inputs=[{"tree": uploaded(desk.owner, rows)}], output=output, mini_batch={"rows": 100})
    job = succeeded(desk.owner, asked(desk.owner, new))
    assert job.progress is not None
    assert (job.progress.rows.done, job.progress.rows.failed) == (1000, 0)
    parts = desk.owner.get(Page[OutputPart], desk.owner.path("jobs", "scored", "outputs")).items
    text = "".join(desk.owner.http.get(f"{desk.owner.path('jobs', 'scored', 'outputs')}/{each.path}").text for each in parts)
    found = [[int(value) for value in row.values()] for row in csv.DictReader(io.StringIO(text))]
    assert found == [[a, a * 2 + b] for a, b in ROWS]
    assert sum(each.rows or 0 for each in parts) == 1000
    logs = [each.path for each in desk.owner.get(Page[JobLog], desk.owner.path("jobs", "scored", "logs")).items]
    assert any(each.startswith("job_progress_overview") for each in logs)


def test_a_program_gets_its_values_and_its_output_is_kept(desk: Desk, rows: Path, tmp_path: Path) -> None:
    owner = desk.owner
    code = upload_script(owner, tmp_path / "code", DRIVER)
    parameters = [Parameter(id="--input-data"), Parameter(id="--output-data", direction="Output"), Parameter(id="--factor", kind="Value", default="3")]
    owner.create(
        BatchService, owner.path("batch-services"), NewBatchService(name="times", driver=Code(tree=code.tree, entry_script="score.py"), parameters=parameters)
    )
    values = {"--input-data": f"tree:{uploaded(owner, rows)}", "--output-data": "output:answers.txt"}
    job = owner.create(Job, owner.path("batch-services", "times", "jobs"), NewServiceJob(name="one", parameters=values))
    succeeded(owner, job)
    assert [each.path for each in owner.get(Page[OutputPart], owner.path("jobs", "one", "outputs")).items] == ["answers.txt"]
    answers = owner.http.get(f"{owner.path('jobs', 'one', 'outputs')}/answers.txt").text.split()
    assert [int(each) for each in answers] == [a * 3 for a, _ in ROWS]


def test_a_running_job_is_cancelled_and_a_failing_one_says_why(desk: Desk, rows: Path, tmp_path: Path) -> None:
    owner = desk.owner
    slow = BATCH.replace("    return", "    import threading; threading.Event().wait(0.5)\n    return")
    code = upload_script(owner, tmp_path / "slow", slow)
    new = new_job(code, "slow", script="score.py", inputs=[{"urls": [str(rows)]}], mini_batch={"rows": 10}, output={"format": "csv"})
    asked(owner, new)
    until(lambda: owner.get(Job, owner.path("jobs", "slow")).state is JobState.IN_PROGRESS, "the job to run", timeout=120)
    owner.send(Job, "POST", owner.path("jobs", "slow", "cancel"))
    assert over(owner, "slow", timeout=30).state is JobState.CANCELLED
    broken = upload_script(owner, tmp_path / "broken", BATCH.replace("pass", 'raise ValueError("no weights")'))
    failed = over(owner, asked(owner, new_job(broken, "broken", script="score.py", inputs=[{"urls": [str(rows)]}])).id, timeout=120)
    assert failed.failure is not None
    assert (failed.state, failed.failure.cause) == (JobState.FAILED, "init-raised")
    assert "no weights" in json.dumps(failed.failure.model_dump())

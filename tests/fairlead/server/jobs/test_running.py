"""Jobs from being asked for to their end: what readers see, kills of driver and server, cancel, the queue."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.errors import Conflict, NotFound
from fairlead.schemas.jobs import Job, JobLog, JobLogText, JobState, OutputPart, Rerun
from fairlead.schemas.services import Code
from fairlead.schemas.wire import Page
from fairlead.server.jobs.place import Place
from fairlead.testing.targets import FakeTarget
from tests.fairlead.server.jobs.given import asked, events_of, new_job, over, running, shown
from tests.fairlead.server.services.desk import Desk, upload_script
from tests.waiting import until

SLOW = {"SHARDS": "400", "PAUSE": "0.05"}


def test_a_job_runs_to_its_end_and_readers_see_how(desk: Desk, tmp_path: Path) -> None:
    code = upload_script(desk.owner, tmp_path / "code")
    job = over(desk.owner, asked(desk.owner, new_job(code, "first")).id)
    assert (job.state, job.stage, job.failure) == (JobState.SUCCEEDED, None, None), job.failure
    assert job.progress is not None
    assert (job.progress.shards.done, job.progress.shards.total, job.progress.rows.done) == (3, 3, 30)
    assert job.bundle_digest
    assert job.environment_lock
    assert job.started_at
    assert events_of(desk.owner, "first") == [
        "JobSubmitted", "JobPreparing", "JobQueued", "JobStarting", "JobRunning", "PlanMade", "JobSucceeded"
    ]  # fmt: skip


def test_a_job_outlives_its_server_and_the_next_one_takes_it_over(database_url: str, tmp_path: Path, cache_of_jobs: Path, fake_driver: None) -> None:
    first = Desk(tmp_path / "desk", database_url, FakeTarget(), cache=cache_of_jobs, local=True).start()
    try:
        code = upload_script(first.owner, tmp_path / "code")
        job = asked(first.owner, new_job(code, "long", variables={"SHARDS": "40", "PAUSE": "0.1"}))
        running(first.owner, "long")
    finally:
        first.stop()
    place = next((tmp_path / "desk" / "jobs").iterdir())
    assert Place(tmp_path / "desk", place.name).is_running, "a driver does not end with the server"
    second = Desk(tmp_path / "desk", database_url, FakeTarget(), cache=cache_of_jobs, local=True).start(first.token)
    try:
        found = over(second.owner, job.id)
        assert (found.state, found.restarts) == (JobState.SUCCEEDED, 0)
        assert events_of(second.owner, job.id).count("JobRunning") == 1
    finally:
        second.stop()


def test_a_driver_that_is_killed_is_started_again_and_goes_on(owner: Transport, code: Code) -> None:
    job = over(owner, asked(owner, new_job(code, "killed", variables={"DIE_AT": "1", "SHARDS": "4"})).id)
    assert (job.state, job.restarts) == (JobState.SUCCEEDED, 1), job.failure
    happened = events_of(owner, "killed")
    assert [each for each in happened if each in ("JobRunning", "DriverDied", "DriverRestarted")] == ["JobRunning", "DriverDied", "DriverRestarted"]


def test_a_driver_that_is_killed_again_and_again_without_getting_further_is_given_up(owner: Transport, code: Code) -> None:
    job = over(owner, asked(owner, new_job(code, "hopeless", variables={"SHARDS": "9", "PAUSE": "0", "DIE_FIRST": "99"})).id)
    assert job.failure is not None
    assert (job.state, job.failure.cause, job.failure.stage) == (JobState.FAILED, "driver-died", "running")
    assert "4 times" in job.failure.message
    assert job.failure.log_lines == ["driver: begins"] * 4


def test_a_driver_that_ends_by_itself_is_not_started_again(owner: Transport, code: Code, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where a folder should be")
    job = over(owner, asked(owner, new_job(code, "crashing", output={"url": str(tmp_path / "out")})).id)
    assert job.failure is not None
    assert (job.state, job.failure.cause, job.restarts) == (JobState.FAILED, "driver-failed", 0)
    assert "exit code 1" in job.failure.message
    assert "FileExistsError" in "\n".join(job.failure.log_lines)


def test_what_a_driver_says_of_a_failure_is_told(owner: Transport, code: Code) -> None:
    job = over(owner, asked(owner, new_job(code, "failing", variables={"FAIL": "init() raised ValueError: no"})).id)
    assert job.failure is not None
    assert (job.state, job.failure.cause, job.failure.message) == (JobState.FAILED, "init-raised", "init() raised ValueError: no")
    assert job.failure.log_lines[0] == "Traceback"


def test_words_of_a_driver_that_no_database_takes_are_told_all_the_same(owner: Transport, code: Code) -> None:
    job = over(owner, asked(owner, new_job(code, "strange", variables={"FAIL": r"no column 'a\0b', caf\udce9"})).id)
    assert job.failure is not None
    assert (job.state, job.failure.message) == (JobState.FAILED, "no column 'a\ufffdb', caf\ufffd")
    assert "NodePreempted" in events_of(owner, "strange")


def test_of_a_driver_that_has_much_to_say_at_its_end_nothing_is_lost(owner: Transport, code: Code) -> None:
    job = over(owner, asked(owner, new_job(code, "talkative", variables={"NOTES": "400", "SHARDS": "1"})).id)
    assert job.state is JobState.SUCCEEDED
    assert events_of(owner, "talkative").count("NodePreempted") == 400


def test_a_line_that_is_longer_than_what_is_read_at_once_is_passed_over(tmp_path: Path) -> None:
    place = Place(tmp_path, "job-1")
    place.make()
    (place.folder / "events.jsonl").write_bytes(b'{"event": "long' + b"x" * (3 << 20) + b'"}\n{"event": "short"}\n')
    offset, found = 0, []
    for _ in range(5):
        said, offset = place.events_since(offset)
        found += [each["event"] for each in said]
    assert found == ["short"]


def test_a_running_job_is_cancelled_within_seconds(owner: Transport, code: Code) -> None:
    asked(owner, new_job(code, "unwanted", variables=SLOW))
    running(owner, "unwanted")
    cancelled = owner.send(Job, "POST", owner.path("jobs", "unwanted", "cancel")).value
    assert cancelled.cancel_asked_by
    job = over(owner, "unwanted", timeout=10)
    assert job.state is JobState.CANCELLED
    assert job.progress is not None
    assert job.progress.shards.done < 400
    assert owner.send(Job, "POST", owner.path("jobs", "unwanted", "cancel")).value.finished_at == job.finished_at


def test_more_jobs_than_may_run_wait_in_the_order_in_which_they_were_asked_for(tmp_path: Path, cache_of_jobs: Path, fake_driver: None) -> None:
    desk = Desk(tmp_path / "desk", f"sqlite:///{tmp_path}/q.db", FakeTarget(), cache=cache_of_jobs, local=True, batch_jobs=1).start()
    try:
        code = upload_script(desk.owner, tmp_path / "code")
        asked(desk.owner, new_job(code, "a", variables=SLOW))
        running(desk.owner, "a")
        for name in ("b", "c", "d"):
            asked(desk.owner, new_job(code, name))
        until(lambda: {shown(desk.owner, name).stage for name in ("b", "c", "d")} == {"queued"}, "the others to be queued", timeout=30)
        assert {shown(desk.owner, name).state for name in ("b", "c", "d")} == {JobState.NOT_STARTED}
        at_once = desk.owner.send(Job, "POST", desk.owner.path("jobs", "b", "cancel")).value
        assert (at_once.state, at_once.started_at) == (JobState.CANCELLED, None)
        desk.owner.send(Job, "POST", desk.owner.path("jobs", "a", "cancel"))
        ended = [over(desk.owner, name, timeout=20) for name in ("a", "c", "d")]
        assert [each.state for each in ended] == [JobState.CANCELLED, JobState.SUCCEEDED, JobState.SUCCEEDED]
        times = [(each.started_at, each.finished_at) for each in ended]
        assert times[0][1] <= times[1][0] and times[1][1] <= times[2][0]  # type: ignore[operator]  # all are set  # noqa: PT018 - one fact
    finally:
        desk.stop()


def test_secrets_are_files_of_the_driver_and_nowhere_else(owner: Transport, code: Code, desk_of_all: Desk) -> None:
    access.set_secret(owner, "password", "hunter2-of-jobs")
    job = asked(owner, new_job(code, "secretive", variables={"SHOW": "password"}, secrets=["password"]))
    assert over(owner, job.id).state is JobState.SUCCEEDED
    response = owner.http.get(owner.path("jobs", job.id, "outputs") + "/part-00000.txt")
    assert response.text == "hunter2-of-jobs"
    folder = next((desk_of_all.context.settings.state_dir / "jobs").glob(f"job-{job.id[-12:]}"))
    until(lambda: not (folder / "secrets").exists(), "secrets to be gone after the end")
    said = "".join(each.read_text() for each in folder.rglob("*") if each.is_file() and "output" not in each.parts)
    assert "hunter2" not in said
    with pytest.raises(NotFound, match="no secret 'absent'"):
        asked(owner, new_job(code, secrets=["absent"]))


def test_logs_can_be_listed_and_read_in_pieces(owner: Transport, code: Code) -> None:
    over(owner, asked(owner, new_job(code, "logged")).id)
    path = "user/stdout/node-0/process000.stdout.txt"
    found = owner.get(Page[JobLog], owner.path("jobs", "logged", "logs")).items
    assert [each.path for each in found] == ["sys/driver.txt", path]
    first = owner.get(Page[JobLog], owner.path("jobs", "logged", "logs"), {"limit": 1})
    rest = owner.get(Page[JobLog], owner.path("jobs", "logged", "logs"), {"limit": 1, "after": first.next})
    assert ([each.path for each in (*first.items, *rest.items)], rest.next) == ([each.path for each in found], None)
    read = owner.get(JobLogText, f"{owner.path('jobs', 'logged', 'logs')}/sys/driver.txt", {"offset": 8})
    assert (read.text, read.offset, read.next_offset, read.end) == ("begins\n", 8, 15, True)
    for outside in ("../job.json", "..%2fjob.json", "none.txt", "user"):
        assert owner.http.get(f"{owner.path('jobs', 'logged', 'logs')}/{outside}").status_code == 404


def test_outputs_are_listed_from_the_manifest_and_downloaded(owner: Transport, code: Code) -> None:
    over(owner, asked(owner, new_job(code, "published")).id)
    found = owner.get(Page[OutputPart], owner.path("jobs", "published", "outputs")).items
    assert [(each.kind, each.path, each.rows) for each in found] == [
        *(("part", f"part-0000{number}.txt", 1) for number in range(3)),
        ("quarantine", "_quarantine/part-00000.jsonl", 1),
    ]
    content = owner.http.get(f"{owner.path('jobs', 'published', 'outputs')}/{found[1].path}").content
    assert (content, hashlib.sha256(content).hexdigest()) == (b"answer 1\n", found[1].sha256)
    for outside in ("../job.json", "..%2f..%2f..%2fowner.token", "none.txt"):
        assert owner.http.get(f"{owner.path('jobs', 'published', 'outputs')}/{outside}").status_code == 404


def test_of_a_folder_that_is_not_the_servers_only_what_the_job_wrote_is_given(owner: Transport, code: Code, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("private")
    over(owner, asked(owner, new_job(code, "outside", output={"url": str(tmp_path)})).id)
    address = owner.path("jobs", "outside", "outputs")
    assert owner.http.get(f"{address}/part-00000.txt").status_code == 200
    assert owner.http.get(f"{address}/mine.txt").status_code == 404


def test_a_job_is_run_again_and_deleted_with_what_it_left(owner: Transport, code: Code, desk_of_all: Desk) -> None:
    first = over(owner, asked(owner, new_job(code, "once", tags={"a": "b"})).id)
    again = owner.send(Job, "POST", owner.path("jobs", "once", "rerun"), body=Rerun(name="twice")).value
    assert (again.rerun_of, again.request, again.tags) == (first.id, first.request, {"a": "b"})
    assert owner.send(Job, "POST", owner.path("jobs", "once", "rerun"), body=Rerun(name="twice")).value.id == again.id
    ended = over(owner, again.id)
    assert (ended.state, ended.bundle_digest, ended.environment_lock) == (JobState.SUCCEEDED, first.bundle_digest, first.environment_lock)
    folder = desk_of_all.context.settings.state_dir / "jobs" / f"job-{first.id[-12:]}"
    assert folder.is_dir()
    owner.request("DELETE", owner.path("jobs", first.id))
    until(lambda: not folder.exists(), "the job's folder to go")
    assert owner.http.get(owner.path("jobs", "once")).status_code == 404
    asked(owner, new_job(code, "once", variables=SLOW))
    running(owner, "once")
    with pytest.raises(Conflict, match="is not over"):
        owner.request("DELETE", owner.path("jobs", "once"))
    owner.send(Job, "POST", owner.path("jobs", "once", "cancel"))
    over(owner, "once")

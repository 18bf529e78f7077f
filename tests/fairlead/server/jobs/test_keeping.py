"""Jobs over the years: fsck finds what does not fit, what is long over goes, and a backup's unfinished jobs are finished where it is restored."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from fairlead.client import compute
from fairlead.schemas.compute import NewPool
from fairlead.schemas.jobs import JobState
from fairlead.server import schema
from fairlead.server.db import Database
from fairlead.server.maintenance import jobs_long_over
from fairlead.server.maintenance.backup import Source, make
from fairlead.server.maintenance.checking import check
from fairlead.server.maintenance.findings import Finding, Ground
from fairlead.server.maintenance.restoring import Goal, restore
from fairlead.server.node import Node
from fairlead.server.settings import Settings
from fairlead.stores import open_store
from fairlead.testing.targets import FakeTarget
from tests.fairlead.server.jobs.given import asked, new_job, over, running, shown
from tests.fairlead.server.services.desk import Desk, upload_script


@pytest.fixture
def desk(database_url: str, tmp_path: Path, cache_of_jobs: Path, fake_driver: None) -> Iterator[Desk]:
    started = made(tmp_path / "desk", cache_of_jobs, database_url).start()
    try:
        yield started
    finally:
        started.stop()


def found(desk: Desk, *, repair: bool = False) -> list[Finding]:
    parts = desk.context
    with parts.database.engine.connect() as connection:
        ground = Ground(settings=parts.settings, database=parts.database, store=parts.store, seal=parts.seal, connection=connection, deep=False)
        return check(ground, lambda _: None, repair=repair).findings


def run(desk: Desk, statement: str, **values: object) -> None:
    with desk.context.database.engine.connect().execution_options(fairlead_writes=True) as connection, connection.begin():
        connection.execute(text(statement), values)


def places(desk: Desk) -> Path:
    return desk.context.settings.state_dir / "jobs"


def test_what_does_not_fit_is_found_and_mended(desk: Desk, tmp_path: Path) -> None:
    owner = desk.owner
    compute.create(owner, NewPool(name="small", max_nodes=1))
    job = over(owner, asked(owner, new_job(upload_script(owner, tmp_path / "code"), "done", engine={"pool": "small"})).id)
    assert job.state is JobState.SUCCEEDED
    assert found(desk) == []
    run(desk, "UPDATE compute_uses SET until = NULL")
    assert [each.what for each in found(desk)] == ["use-of-nothing"]
    assert [each.repaired for each in found(desk, repair=True)] == [True]
    assert found(desk) == []
    run(desk, "UPDATE jobs SET stage = 'running'")
    assert [(each.what, "'done' is Succeeded at the stage running" in each.message) for each in found(desk)] == [("job-torn", True)]
    run(desk, "UPDATE jobs SET stage = NULL")
    folder = places(desk) / "job-of-nobody"
    folder.mkdir()
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert [each.what for each in found(desk)] == ["driver-unwanted"]
    assert [each.repaired for each in found(desk, repair=True)] == [True]
    assert (folder / "cancel").exists()
    os.close(handle)
    assert found(desk) == []


def test_what_is_long_over_goes_and_answers_and_records_stay(desk: Desk, tmp_path: Path) -> None:
    owner, parts = desk.owner, desk.context
    code = upload_script(owner, tmp_path / "code")
    job = over(owner, asked(owner, new_job(code, "old")).id)
    asked(owner, new_job(code, "young", variables={"SHARDS": "400", "PAUSE": "0.05"}))
    running(owner, "young")
    [old] = [each for each in places(desk).iterdir() if each.name.endswith(job.id[-12:])]
    assert jobs_long_over.clear(parts.settings, parts.database, timedelta(days=1), dry_run=False) == 0
    assert jobs_long_over.clear(parts.settings, parts.database, timedelta(0), dry_run=True) == 1
    assert (old / "logs").exists()
    assert jobs_long_over.clear(parts.settings, parts.database, timedelta(0), dry_run=False) == 1
    assert [each.name for each in old.iterdir()] == ["output"]
    assert owner.http.get(f"{owner.path('jobs', 'old', 'outputs')}/part-00000.txt").text == "answer 0\n"
    assert shown(owner, "old").state is JobState.SUCCEEDED
    assert jobs_long_over.clear(parts.settings, parts.database, timedelta(0), dry_run=False) == 0
    assert shown(owner, "young").state is JobState.IN_PROGRESS
    owner.http.post(f"{owner.path('jobs', 'young')}/cancel")
    over(owner, "young")


def test_an_unfinished_job_of_a_backup_is_finished_where_it_is_restored(tmp_path: Path, cache_of_jobs: Path, fake_driver: None) -> None:
    first = made(tmp_path / "first", cache_of_jobs).start()
    asked(first.owner, new_job(upload_script(first.owner, tmp_path / "code"), "half", variables={"SHARDS": "60", "PAUSE": "0.1"}))
    running(first.owner, "half")
    make(Source(database=first.context.database, store=first.context.store), tmp_path / "backup.tar", force=False, say=lambda _: None)
    first.stop()
    for each in places(first).iterdir():
        (each / "cancel").touch()
    second = tmp_path / "second"
    node, database = Node(second), Database(url_of(second))
    settings = Settings(state_dir=second, cache_dir=cache_of_jobs, database_url=url_of(second), store_url=str(second / "blobs"))
    restore(
        Goal(settings=settings, database=database, store=open_store(settings.store), node=node.id), tmp_path / "backup.tar", passphrase_file=None, say=print
    )
    node.close()
    database.close()
    again = Desk(second, url_of(second), FakeTarget(), cache=cache_of_jobs, local=True).start()
    try:
        done = over(again.owner, "half")
        assert (done.state, done.progress and done.progress.shards.done) == (JobState.SUCCEEDED, 60)
        assert again.owner.http.get(f"{again.owner.path('jobs', 'half', 'outputs')}/part-00059.txt").text == "answer 59\n"
    finally:
        again.stop()


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/fairlead.db"


def made(folder: Path, cache: Path, url: str = "") -> Desk:
    """With the tables that a server makes, step by step."""
    folder.mkdir()
    database = Database(url or url_of(folder))
    schema.ensure(database)
    database.close()
    return Desk(folder, url or url_of(folder), FakeTarget(), cache=cache, local=True)

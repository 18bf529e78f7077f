"""Jobs that name a pool, a datastore or a data set: what they wait for, and what their drivers are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.client import compute, data
from fairlead.client.transport import Transport
from fairlead.errors import InUse, UsageError
from fairlead.schemas.compute import NewPool
from fairlead.schemas.data import NewDatasetVersion, NewDatastore
from fairlead.schemas.jobs import Job, JobState
from fairlead.schemas.services import Code
from tests.fairlead.server.jobs.given import asked, new_job, over, running, shown
from tests.fairlead.server.services.desk import Desk
from tests.waiting import until

SLOW = {"SHARDS": "400", "PAUSE": "0.05"}


def test_a_pool_gives_its_nodes_to_one_job_after_the_other(owner: Transport, code: Code) -> None:
    compute.create(owner, NewPool(name="single", max_nodes=1))
    engine = {"pool": "single"}
    asked(owner, new_job(code, "pool-a", variables=SLOW, engine=engine))
    running(owner, "pool-a")
    asked(owner, new_job(code, "pool-b", engine=engine))
    until(lambda: shown(owner, "pool-b").stage == "queued", "the second to wait", timeout=30)
    now = compute.show(owner, "single").allocation
    assert (now.state, now.current_nodes, now.busy_nodes, now.jobs) == ("Steady", 1, 1, 1)
    with pytest.raises(InUse, match="is used by pool-a"):
        compute.delete(owner, "single")
    with pytest.raises(UsageError, match="has 1 nodes at most, and 2 were asked for"):
        asked(owner, new_job(code, "pool-c", engine={**engine, "nodes": 2}))
    owner.send(Job, "POST", owner.path("jobs", "pool-a", "cancel"))
    assert over(owner, "pool-b", timeout=30).state is JobState.SUCCEEDED
    assert [(each.job, each.nodes, each.until is not None) for each in compute.uses(owner, "single")] == [("pool-b", 1, True), ("pool-a", 1, True)]
    assert compute.show(owner, "single").allocation.jobs == 0
    compute.delete(owner, "single")


def test_a_query_is_for_a_datastore_that_is_a_database(owner: Transport, code: Code, desk_of_all: Desk) -> None:
    data.create_datastore(owner, NewDatastore(name="jobs-base", url="postgresql://nowhere.example/rows", credentials={"user": "u", "password": "p"}))
    job = asked(owner, new_job(code, "queried", inputs=[{"datastore": "jobs-base", "query": "select 1 as a"}], variables=SLOW))
    running(owner, "queried")
    place = desk_of_all.context.settings.state_dir / "jobs" / f"job-{job.id[-12:]}"
    [told] = json.loads((place / "job.json").read_text())["inputs"]
    assert (told["database"], told["query"], told["urls"]) == ("postgresql://nowhere.example/rows", "select 1 as a", [])
    assert json.loads((place / "secrets" / told["credentials"]).read_text()) == {"user": "u", "password": "p"}
    owner.send(Job, "POST", owner.path("jobs", "queried", "cancel"))
    with pytest.raises(UsageError, match="is no database"):
        asked(owner, new_job(code, inputs=[{"datastore": "workspaceblobstore", "query": "select 1"}]))
    assert owner.http.post(owner.path("jobs"), json={"inputs": [{"urls": ["/x"], "query": "select 1"}]}).status_code == 400
    over(owner, "queried", timeout=20)


def test_a_driver_is_told_urls_and_given_the_secret_of_the_datastore(owner: Transport, code: Code, desk_of_all: Desk) -> None:
    data.create_datastore(owner, NewDatastore(name="jobs-lake", url="s3://jobs-lake/raw", credentials={"key": "k", "secret": "a-secret-of-the-lake"}))
    definition = {"kind": "Tabular", "paths": [{"datastore": "jobs-lake", "path": "x/*.csv"}], "format": "csv", "options": {"delimiter": ";"}}
    data.register_dataset(owner, NewDatasetVersion.of(name="jobs-rows", definition=definition))
    inputs = [{"dataset": "jobs-rows", "columns": ["a"]}, {"datastore": "jobs-lake", "path": "y.csv"}, {"urls": ["s3://jobs-lake/raw/z.csv"]}]
    job = asked(owner, new_job(code, "told", inputs=inputs, output={"datastore": "workspaceblobstore", "path": "scores"}, variables=SLOW))
    running(owner, "told")
    place = next((desk_of_all.context.settings.state_dir / "jobs").glob(f"job-{job.id[-12:]}"))
    order: dict[str, Any] = json.loads((place / "job.json").read_text())
    first = order["inputs"][0]
    assert (first["urls"], first["format"], first["options"], first["columns"]) == (["s3://jobs-lake/raw/x/*.csv"], "csv", {"delimiter": ";"}, ["a"])
    assert [each["urls"] for each in order["inputs"][1:]] == [["s3://jobs-lake/raw/y.csv"], ["s3://jobs-lake/raw/z.csv"]]
    for each in order["inputs"]:
        assert json.loads((place / "secrets" / each["credentials"]).read_text()) == {"key": "k", "secret": "a-secret-of-the-lake"}
    assert order["output"]["url"].endswith("/scores")
    assert "a-secret-of-the-lake" not in (place / "job.json").read_text()
    owner.send(Job, "POST", owner.path("jobs", "told", "cancel"))
    over(owner, "told", timeout=20)

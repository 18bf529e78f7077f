"""The records of jobs (E8), asked by SQL; and what SQL must not be able to do there."""

from __future__ import annotations

import uuid

import pytest

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.errors import UsageError
from fairlead.schemas.access import NewWorkspace
from fairlead.schemas.jobs import JobQuery, JobRows
from fairlead.schemas.services import Code
from tests.fairlead.server.jobs.given import asked, new_job, over
from tests.fairlead.server.services.desk import Desk


def query(owner: Transport, sql: str) -> JobRows:
    return owner.send(JobRows, "POST", f"{owner.path('jobs')}:query", body=JobQuery(sql=sql)).value


def test_failed_jobs_are_found_by_what_the_seeds_call_their_columns(owner: Transport, code: Code) -> None:
    over(owner, asked(owner, new_job(code, "rec-fails", variables={"FAIL": "it broke"}, experiment="rec")).id)
    over(owner, asked(owner, new_job(code, "rec-works", experiment="rec")).id)
    found = query(owner, "select JobName, EventType, JobErrorMessage from job_events where ExecutionState = 'Failed' and ExperimentName = 'rec'")
    assert (found.columns, found.rows) == (["JobName", "EventType", "JobErrorMessage"], [["rec-fails", "JobFailed", "it broke"]])
    states = query(owner, "SELECT DISTINCT ExecutionState FROM AmlComputeJobEvents WHERE JobName = 'rec-works' ORDER BY TimeGenerated")
    assert [row[0] for row in states.rows if row[0] != "Running"] == ["Queued", "Succeeded"]
    node = query(owner, "select NodeId, Message from job_events where EventType = 'PlanMade' and JobName = 'rec-works'")
    assert node.rows == [["node-0", "3 shards"]]
    counted = query(owner, "with n as (select count(*) c from job_events where JobName = 'rec-works') select c > 5, c || '' from n")
    assert counted.rows[0][0] == 1


def test_a_workspace_has_its_own_records_only(owner: Transport, code: Code, desk_of_all: Desk) -> None:
    over(owner, asked(owner, new_job(code, "rec-mine")).id)
    name = f"rec-{uuid.uuid4().hex[:8]}"
    with Transport(owner.url, desk_of_all.token, name) as other:
        access.create_workspace(other, NewWorkspace(name=name))
        assert query(other, "select count(*) from job_events").rows == [[0]]


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("delete from job_events", "only read"),
        ("update job_events set JobName = 'x'", "only read"),
        ("insert into job_events (JobName) values ('x')", "only read"),
        ("drop table job_events", "only read"),
        ("create table x (a)", "only read"),
        ("attach '/etc/passwd' as p", "only read"),
        ("pragma table_info(job_events)", "only read"),
        ("vacuum into '/tmp/x.db'", "only read"),
        ("select load_extension('x')", "only read"),
        ("select * from sqlite_master", "only read"),
        ("select 1; select 2", "only read"),
        ("begin", "only read"),
        ("select Nonsense from job_events", "no such column: Nonsense. The table is job_events, with the columns TimeGenerated, EventType"),
        ("select * from jobs", "no such table: jobs"),
        ("selct 1", 'near "selct": syntax error'),
        ("-- nothing", "write one SELECT"),
        ("select zeroblob(2000000)", "too big"),
    ],
)
def test_a_query_reads_and_does_nothing_else(owner: Transport, sql: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        query(owner, sql)
    assert sentence in str(refused.value)


def test_a_query_without_end_is_ended(owner: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.server.jobs.records.SECONDS", 0.2)
    with pytest.raises(UsageError, match="takes more than"):
        query(owner, "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n")


def test_values_that_json_does_not_know_are_said_otherwise(owner: Transport) -> None:
    assert query(owner, "select 9e999, x'ff00', cast(x'ff' as text)").rows == [[None, "ff00", "\N{REPLACEMENT CHARACTER}"]]


def test_a_long_answer_is_cut_and_says_so(owner: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.server.jobs.records.MOST_ROWS", 3)
    found = query(owner, "with recursive n(x) as (select 1 union all select x + 1 from n where x < 9) select x from n")
    assert (found.rows, found.more) == ([[1], [2], [3]], True)

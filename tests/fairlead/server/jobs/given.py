"""Jobs as tests ask for them."""

from __future__ import annotations

from typing import Any

from fairlead.client.transport import Transport
from fairlead.schemas.jobs import Job, JobEvent, NewJob
from fairlead.schemas.services import Code
from fairlead.schemas.wire import Page
from tests.waiting import until

DATA = {"urls": ["/data/rows.parquet"]}


def new_job(code: Code, name: str | None = None, *, variables: dict[str, str] | None = None, **said: Any) -> NewJob:
    return NewJob.model_validate({"name": name, "code": code, "inputs": [DATA], "variables": variables or {}} | said)


def asked(owner: Transport, new: NewJob) -> Job:
    return owner.create(Job, owner.path("jobs"), new)


def shown(owner: Transport, job: str) -> Job:
    return owner.get(Job, owner.path("jobs", job))


def over(owner: Transport, job: str, timeout: float = 60.0) -> Job:
    def look() -> Job | None:
        found = owner.get(Job, owner.path("jobs", job), {"wait": 5, "until": "settled"})
        return found if found.is_settled else None

    found = until(look, f"the job {job} to be over", timeout=timeout)
    assert found is not None
    return found


def running(owner: Transport, job: str) -> Job:
    """Once a shard of it is done."""

    def look() -> Job | None:
        found = shown(owner, job)
        assert not found.is_settled, (found.state, found.message, found.failure)
        return found if found.progress is not None and found.progress.shards.done else None

    found = until(look, f"the job {job} to run", timeout=60)
    assert found is not None
    return found


def events_of(owner: Transport, job: str) -> list[str]:
    return [each.event for each in owner.get(Page[JobEvent], owner.path("jobs", job, "events"), {"limit": 500}).items]

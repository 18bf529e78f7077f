"""`/v1/workspaces/{workspace}/jobs`: ask for one, look, cancel, run again, delete."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Response
from sqlalchemy.orm import Session

from fairlead.schemas.jobs import Job, JobKind, JobQuery, JobRows, JobState, NewJob, Rerun
from fairlead.schemas.wire import Moment, Page
from fairlead.server import waiting
from fairlead.server.access import Access, Contributor, Reader
from fairlead.server.conditional import IfMatch, check_tag
from fairlead.server.context import Context, Parts
from fairlead.server.jobs import naming, ordering, records, showing, wishes
from fairlead.server.jobs.showing import Filters
from fairlead.server.making import uploads
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing
from fairlead.server.tables.jobs import JobRow
from fairlead.server.waiting import Until

router = Router(prefix="/v1/workspaces/{workspace}", tags=["jobs"])
LONGEST_WAIT = 60.0


@router.post("/jobs", status_code=202, response_model=Job)
def create_job(access: Contributor, session: Writing, parts: Parts, body: NewJob, once: Repeatable) -> Response:
    """Writes down what is wanted; `GET …?wait=` tells how it goes on. The same name and body again is the same job."""
    uploads.refuse_strange_trees(parts, access, wishes.trees(body))
    return located(access, once.answer(session, access, body, lambda: ordering.create(session, access, parts, body), 202))


@router.post("/jobs:query")
def query_jobs(access: Reader, session: Reading, body: JobQuery) -> JobRows:
    """One SELECT over `job_events`, the records of this workspace's jobs: the newest 200,000 of them. At most 10,000 rows come back, within five seconds."""
    return records.query(session, access, body.sql)


@router.get("/jobs")
def list_jobs(
    access: Reader,
    session: Reading,
    pages: Pages,
    state: JobState | None = None,
    kind: JobKind | None = None,
    service: Annotated[str | None, Query(max_length=127, description="The name of a batch service.")] = None,
    model: Annotated[str | None, Query(max_length=300, description="NAME or NAME:VERSION")] = None,
    experiment: Annotated[str | None, Query(max_length=255)] = None,
    created_after: Annotated[Moment | None, Query(description="No jobs from before.")] = None,
    created_before: Annotated[Moment | None, Query(description="Only jobs from before.")] = None,
) -> Page[Job]:
    """Newest first."""
    told = {"created_after": created_after, "created_before": created_before}
    filters = Filters(state=state, kind=kind, service=service, model=model, experiment=experiment, **told)
    return showing.list_jobs(session, access, filters, pages)


@router.get("/jobs/{job}")
async def show_job(
    access: Reader,
    parts: Parts,
    response: Response,
    job: str,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds.")] = 0.0,
    until: Until = "changed",
    seen: Annotated[int, Query(ge=0, le=2**62, description="The `serial` that the caller knows.")] = 0,
) -> Job:
    """By name or id. With `wait`: answers when its serial has grown beyond `seen`, or (`until=settled`) when it is over; at the latest after that time."""
    return await watch(parts, response, Waits(wait, until, seen), lambda session: naming.find(session, access, job))


@router.post("/jobs/{job}/cancel", status_code=202)
def cancel_job(access: Contributor, session: Writing, parts: Parts, job: str) -> Job:
    """It ends within seconds, and whole shards stay. Silent when it is over already."""
    return ordering.cancel(session, access, parts, naming.find(session, access, job, lock=True))


@router.post("/jobs/{job}/rerun", status_code=202, response_model=Job)
def rerun_job(access: Contributor, session: Writing, parts: Parts, job: str, body: Rerun, once: Repeatable) -> Response:
    """The same once more, with the versions that it had."""
    row = naming.find(session, access, job, lock=True)
    return located(access, once.answer(session, access, body, lambda: ordering.rerun(session, access, parts, row, body), 202))


@router.delete("/jobs/{job}", status_code=204)
def delete_job(access: Contributor, session: Writing, parts: Parts, job: str, if_match: IfMatch = None) -> None:
    """Of one that is over: its logs go, and answers that the server keeps; its records stay."""
    row = naming.find(session, access, job, lock=True)
    check_tag(if_match, row, f"The job {row.name!r}")
    ordering.delete(session, access, parts, row)


@dataclass(frozen=True)
class Waits:
    """How long a caller waits, and for what."""

    wait: float
    until: Until
    seen: int


async def watch(parts: Context, response: Response, waits: Waits, find: Callable[[Session], JobRow]) -> Job:
    def read() -> tuple[Job, int]:
        with parts.database.reading() as session:
            row = find(session)
            return showing.to_wire(session, row), row.etag

    def has_come(found: tuple[Job, int]) -> bool:
        return found[0].is_settled or (waits.until == "changed" and found[0].serial > waits.seen)

    found, etag = await waiting.wait_for(parts, read, waits.wait, has_come)
    response.headers["etag"] = f'"{etag}"'
    return found


def located(access: Access, response: Response) -> Response:
    """Where the job can be asked for."""
    said = json.loads(bytes(response.body))
    response.headers["location"] = f"/v1/workspaces/{access.workspace}/jobs/{said['id']}"
    return response

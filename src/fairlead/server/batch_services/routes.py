"""`/v1/workspaces/{workspace}/batch-services`: define, look, delete, and run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Path, Query, Response

from fairlead.schemas.batch_services import BatchService, NewBatchService, NewServiceJob
from fairlead.schemas.jobs import Job, JobName
from fairlead.schemas.wire import Page
from fairlead.server.access import Contributor, Reader
from fairlead.server.batch_services import defining, running
from fairlead.server.conditional import IfMatch, check_tag, show_tag
from fairlead.server.context import Parts
from fairlead.server.jobs import ordering, showing
from fairlead.server.jobs.routes import LONGEST_WAIT, Waits, located, watch
from fairlead.server.jobs.showing import Filters
from fairlead.server.making import uploads
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing
from fairlead.server.waiting import Until

router = Router(prefix="/v1/workspaces/{workspace}/batch-services", tags=["batch services"])
JobId = Annotated[JobName, Path(description="Chosen by the caller.")]


@router.post("", status_code=201, response_model=BatchService)
def create_batch_service(access: Contributor, session: Writing, parts: Parts, body: NewBatchService, once: Repeatable) -> Response:
    """A driver with declared parameters, or a model. With `overwrite` it takes the place of the one of its name."""
    uploads.refuse_strange_trees(parts, access, brought(body))
    return once.answer(session, access, body, lambda: defining.define(session, access, body))


@router.get("")
def list_batch_services(access: Reader, session: Reading, pages: Pages) -> Page[BatchService]:
    """By name."""
    return defining.list_services(session, access, pages)


@router.get("/{name}")
def show_batch_service(access: Reader, session: Reading, response: Response, name: str) -> BatchService:
    """With its declared parameters, and a line that says how it is run."""
    row = defining.find(session, access, name)
    show_tag(response, row)
    return defining.to_wire(row)


@router.delete("/{name}", status_code=204)
def delete_batch_service(access: Contributor, session: Writing, name: str, if_match: IfMatch = None) -> None:
    """Its jobs stay, and those that run go on."""
    row = defining.find(session, access, name, lock=True)
    check_tag(if_match, row, f"The batch service {row.name!r}")
    defining.delete(session, access, row)


@router.post("/{name}/jobs", status_code=202, response_model=Job)
def create_batch_service_job(access: Contributor, session: Writing, parts: Parts, name: str, body: NewServiceJob, once: Repeatable) -> Response:
    """A run with these values; without a name it gets the time as its name."""
    uploads.refuse_strange_trees(parts, access, running.trees(body))
    row = defining.find(session, access, name, lock=True)
    return located(access, once.answer(session, access, body, lambda: running.run(session, access, parts, row, body), 202))


@router.put("/{name}/jobs/{job}", status_code=202)
def put_batch_service_job(access: Contributor, session: Writing, parts: Parts, name: str, job: JobId, body: NewServiceJob, response: Response) -> Job:
    """The caller chooses the id, so asking again is harmless: the same parameters are the same job."""
    uploads.refuse_strange_trees(parts, access, running.trees(body))
    row = defining.find(session, access, name, lock=True)
    made = running.run(session, access, parts, row, body.model_copy(update={"name": job}))
    response.headers["location"] = f"/v1/workspaces/{access.workspace}/jobs/{made.id}"
    return made


@router.get("/{name}/jobs")
def list_batch_service_jobs(access: Reader, session: Reading, pages: Pages, name: str) -> Page[Job]:
    """Newest first."""
    return showing.list_jobs(session, access, Filters(), pages, scope=defining.find(session, access, name).id)


@router.get("/{name}/jobs/{job}")
async def show_batch_service_job(
    access: Reader,
    parts: Parts,
    response: Response,
    name: str,
    job: str,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds.")] = 0.0,
    until: Until = "changed",
    seen: Annotated[int, Query(ge=0, le=2**62, description="The `serial` that the caller knows.")] = 0,
) -> Job:
    """As of `/jobs/{job}`."""
    return await watch(parts, response, Waits(wait, until, seen), lambda session: defining.find_job(session, access, name, job))


@router.post("/{name}/jobs/{job}/cancel", status_code=202)
def cancel_batch_service_job(access: Contributor, session: Writing, parts: Parts, name: str, job: str) -> Job:
    """It ends within seconds. Silent when it is over already."""
    return ordering.cancel(session, access, parts, defining.find_job(session, access, name, job, lock=True))


def brought(body: NewBatchService) -> Iterator[str]:
    """Uploaded contents that it brings by digest."""
    yield from (each.tree for each in (body.driver, body.code) if each is not None)
    for each in body.parameters:
        if each.kind == "Reference" and (each.default or "").startswith(running.TREE):
            yield running.digest_in(each.default or "")

"""What a job did and left: events, logs, outputs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import FileResponse, Response
from sqlalchemy import select

from fairlead.schemas.jobs import JobEvent, JobLog, JobLogText, OutputPart
from fairlead.schemas.wire import Page
from fairlead.server.access import Access, Reader
from fairlead.server.context import Context, Parts
from fairlead.server.data.routes import BYTES, Range
from fairlead.server.jobs import files, naming
from fairlead.server.paging import Pages, page
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading
from fairlead.server.tables.jobs import JobEventRow, JobRow

router = Router(prefix="/v1/workspaces/{workspace}/jobs/{job}", tags=["jobs"])


@router.get("/events")
def list_job_events(access: Reader, session: Reading, pages: Pages, job: str) -> Page[JobEvent]:
    """The oldest first."""
    row = naming.find(session, access, job)
    return page(session, select(JobEventRow).where(JobEventRow.job_id == row.id), [JobEventRow.number], pages, _event)


@router.get("/logs")
def list_job_logs(access: Reader, parts: Parts, pages: Pages, job: str) -> Page[JobLog]:
    """Files of the log layout, by path. `sys/driver.txt` is what the driver itself said."""
    return files.list_logs(parts, _job(parts, access, job), pages)


@router.get("/logs/{path:path}")
def show_job_log(
    access: Reader,
    parts: Parts,
    job: str,
    path: str,
    offset: Annotated[int, Query(ge=0, lt=2**62, description="Bytes that are known already: `next_offset` of the answer before.")] = 0,
    limit: Annotated[int, Query(ge=16, le=1 << 20, description="Bytes at most.")] = 65_536,
) -> JobLogText:
    """A piece of one file."""
    return files.read_log(parts, _job(parts, access, job), path, offset, limit)


@router.get("/outputs")
def list_job_outputs(access: Reader, parts: Parts, pages: Pages, job: str) -> Page[OutputPart]:
    """What the job's manifest lists: parts, then quarantine; nothing until it is published. Of a table in a database there is no list."""
    return files.list_outputs(parts, _job(parts, access, job), pages)


@router.get("/outputs/{path:path}", response_class=FileResponse, responses=BYTES)
def download_job_output(access: Reader, parts: Parts, job: str, path: str, range: Range = None) -> Response:  # noqa: A002 - the header's name
    """One file, as it is, or a part of it; `_manifest.json` too. What lies in a store comes through the server."""
    return files.download(parts, _job(parts, access, job), path, range)


def _job(parts: Context, access: Access, job: str) -> JobRow:
    """No transaction is open while files are read."""
    with parts.database.reading() as session:
        return naming.find(session, access, job)


def _event(row: JobEventRow) -> JobEvent:
    return JobEvent.model_validate({name: getattr(row, name) for name in JobEvent.model_fields})

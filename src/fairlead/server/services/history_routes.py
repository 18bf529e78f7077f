"""What was and what is said: revisions, events, logs, and where an answer came from."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from fairlead.schemas.services import Revision, ServiceEvent, Trace
from fairlead.schemas.wire import Moment, Page
from fairlead.server.access import Reader
from fairlead.server.context import Parts
from fairlead.server.paging import Pages, page
from fairlead.server.routing import Router
from fairlead.server.services import logs, revisions, showing, tracing
from fairlead.server.sessions import Reading
from fairlead.server.tables.services import RevisionRow, ServiceEventRow

router = Router(prefix="/v1/workspaces/{workspace}", tags=["services"])
Id = Annotated[str | None, Query(max_length=200)]


@router.get("/services/{name}/revisions")
def list_revisions(access: Reader, session: Reading, pages: Pages, name: str) -> Page[Revision]:
    """The newest first."""
    row = showing.find(session, access, name)
    chosen = select(RevisionRow).where(RevisionRow.service_id == row.id)
    return page(session, chosen, [RevisionRow.number], pages, revisions.to_wire, newest_first=True)


@router.get("/services/{name}/events")
def list_events(access: Reader, session: Reading, pages: Pages, name: str) -> Page[ServiceEvent]:
    """The newest first."""
    row = showing.find(session, access, name)
    chosen = select(ServiceEventRow).where(ServiceEventRow.service_id == row.id)
    return page(session, chosen, [ServiceEventRow.number], pages, _event, newest_first=True)


@router.get("/services/{name}/logs", response_class=StreamingResponse, responses={200: {"content": {"text/plain": {}}}})
def show_logs(
    access: Reader,
    parts: Parts,
    name: str,
    tail: Annotated[int, Query(ge=0, le=100_000, description="Lines, of those that fit.")] = 200,
    revision: Annotated[str | None, Query(max_length=32, description="A number, or the id in x-fairlead-revision.")] = None,
    request_id: Id = None,
    since: Annotated[Moment | None, Query(description="No lines from before.")] = None,
    follow: bool = False,
) -> StreamingResponse:
    """Lines of text, most of them JSON objects; with `follow` also those to come."""
    wanted = logs.Wanted(tail=tail, revision=revision, request_id=request_id, since=since, follow=follow)
    with parts.database.reading() as session:
        row, short_id = logs.chosen(session, access, name, wanted)
    return StreamingResponse(logs.stream(parts, row, short_id, wanted), media_type="text/plain; charset=utf-8")


@router.get("/trace/{identity}")
def trace_answer(access: Reader, parts: Parts, identity: str) -> Trace:
    """`identity`: what x-fairlead-revision said, or the id of a request that is in a kept log."""
    return tracing.trace(parts, access, identity)


def _event(row: ServiceEventRow) -> ServiceEvent:
    return ServiceEvent(id=row.id, number=row.number, at=row.at, revision=row.revision, event=row.event, message=row.message)

"""`/v1/workspaces/{workspace}/services`: deploy, look, change, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from fairlead.schemas.services import NewService, Reload, Service, ServiceChange, ServiceState
from fairlead.schemas.wire import Page
from fairlead.server import waiting
from fairlead.server.access import Contributor, Reader
from fairlead.server.conditional import IfMatch, check_tag, show_tag
from fairlead.server.context import Parts
from fairlead.server.making import uploads
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.services import showing, wanting
from fairlead.server.services.showing import Filters
from fairlead.server.sessions import Reading, Writing
from fairlead.server.targets import refuse_lacking
from fairlead.server.waiting import Until

router = Router(prefix="/v1/workspaces/{workspace}/services", tags=["services"])
LONGEST_WAIT = 60.0
Label = Annotated[list[str], Query(max_length=20)]


@router.post("", status_code=202, response_model=Service)
def deploy_service(access: Contributor, session: Writing, parts: Parts, body: NewService, once: Repeatable) -> Response:
    """Writes down what is wanted; `GET …?wait=` tells how it goes on."""
    refuse_lacking(parts.settings, parts.store, parts.targets, body.target)
    uploads.refuse_strange(parts, access, body)
    return once.answer(session, access, body, lambda: wanting.create(session, access, parts, body), 202)


@router.get("")
def list_services(
    access: Reader,
    session: Reading,
    pages: Pages,
    state: ServiceState | None = None,
    model: Annotated[str | None, Query(max_length=300, description="NAME or NAME:VERSION")] = None,
    tag: Label = [],  # noqa: B006 - FastAPI copies defaults
    property: Label = [],  # noqa: A002, B006 - its name on the wire
    prefix: Annotated[str | None, Query(max_length=32)] = None,
) -> Page[Service]:
    """By name. `tag`, `property`: KEY or KEY=VALUE, all of them."""
    return showing.list_services(session, access, Filters(state=state, model=model, tag=tag, property_=property, prefix=prefix), pages)


@router.get("/{name}")
async def show_service(
    access: Reader,
    parts: Parts,
    response: Response,
    name: str,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds.")] = 0.0,
    until: Until = "changed",
    seen: Annotated[int, Query(ge=0, le=2**62, description="The `serial` that the caller knows.")] = 0,
) -> Service:
    """With `wait`: answers when its serial has grown beyond `seen`, or (`until=settled`) when nothing is on its way; at the latest after that time."""

    def read() -> tuple[Service, int]:
        with parts.database.reading() as session:
            service, row = showing.show(session, access, name)
            return service, row.etag

    def has_come(found: tuple[Service, int]) -> bool:
        return found[0].is_settled if until == "settled" else found[0].serial > seen

    service, etag = await waiting.wait_for(parts, read, wait, has_come)
    response.headers["etag"] = f'"{etag}"'
    return service


@router.patch("/{name}", status_code=202)
def change_service(
    access: Contributor, session: Writing, parts: Parts, name: str, body: ServiceChange, response: Response, if_match: IfMatch = None
) -> Service:
    """Omitted: stays. Models, bundle, code, environment, settings, rollback_to make a revision; a second one while one is on its way is refused."""
    uploads.refuse_strange(parts, access, body)
    row = showing.find(session, access, name, lock=True)
    check_tag(if_match, row, f"The service {row.name!r}")
    service = wanting.change(session, access, parts, row, body)
    show_tag(response, row)
    return service


@router.post("/{name}/reload", status_code=202, response_model=Service)
def reload_service(access: Contributor, session: Writing, parts: Parts, name: str, body: Reload, once: Repeatable) -> Response:
    """New processes of the same revision's parts, or with another script; no request is lost."""
    uploads.refuse_strange(parts, access, body)
    return once.answer(session, access, body, lambda: wanting.reload(session, access, parts, showing.find(session, access, name, lock=True), body), 202)


@router.delete("/{name}", status_code=202)
def delete_service(access: Contributor, session: Writing, parts: Parts, name: str, if_match: IfMatch = None) -> Service:
    """It answers what is in hand and ends; then nothing of its name is there, and its keys are destroyed."""
    row = showing.find(session, access, name, lock=True)
    check_tag(if_match, row, f"The service {row.name!r}")
    return wanting.delete(session, access, parts, row)

"""`/v1/workspaces/{workspace}/environments`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response
from fastapi.responses import PlainTextResponse

from fairlead.schemas.environments import (
    Environment,
    EnvironmentBuild,
    EnvironmentChange,
    EnvironmentDifference,
    EnvironmentName,
    EnvironmentUse,
    EnvironmentVersion,
    NewEnvironmentVersion,
)
from fairlead.schemas.wire import Page, VersionWord
from fairlead.server.access import Contributor, Reader
from fairlead.server.conditional import IfMatch, show_tag
from fairlead.server.context import Parts
from fairlead.server.environments import service, uses
from fairlead.server.numbered import ENVIRONMENTS
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing
from fairlead.server.tables.environments import EnvironmentUseRow

router = Router(prefix="/v1/workspaces/{workspace}/environments", tags=["environments"])
Name = Annotated[EnvironmentName, Path()]
Version = Annotated[VersionWord, Path(description="A number, or latest.")]
Chosen = Annotated[VersionWord, Query(description="A number, or latest.")]


@router.get("")
def list_environments(
    access: Reader, session: Reading, pages: Pages, name: Annotated[str | None, Query(max_length=255, description="A part of the name.")] = None
) -> Page[Environment]:
    """Names, with what their versions come to."""
    return service.list_environments(session, access.workspace_id, pages, containing=name)


@router.post("", status_code=201, response_model=EnvironmentVersion)
def create_environment(access: Contributor, parts: Parts, body: NewEnvironmentVersion, once: Repeatable) -> Response:
    """The next version of the name. It is locked before anything is written, which takes as long as the package index does."""
    made = service.lock(body)
    with parts.database.writing() as session:
        return once.answer(session, access, body, lambda: service.create(session, access, body, made))


@router.get("/{name}")
def show_environment(access: Reader, session: Reading, name: Name, response: Response) -> Environment:
    """One name, with its latest version."""
    row = ENVIRONMENTS.named(session, access.workspace_id, name)
    show_tag(response, row)
    return service.environment_to_wire(row)


@router.delete("/{name}", status_code=204)
def delete_environment(access: Contributor, session: Writing, name: Name, if_match: IfMatch = None) -> None:
    """With all its versions; refused while something uses one."""
    service.delete(session, access, ENVIRONMENTS.named(session, access.workspace_id, name, lock=True), if_match)


@router.get("/{name}/versions")
def list_environment_versions(access: Reader, session: Reading, pages: Pages, name: Name) -> Page[EnvironmentVersion]:
    """Newest first, without their locks."""
    return service.list_versions(session, ENVIRONMENTS.named(session, access.workspace_id, name), pages)


@router.get("/{name}/versions/{version}")
def show_environment_version(access: Reader, session: Reading, name: Name, version: Version, response: Response) -> EnvironmentVersion:
    """One version: what was asked for, and the lock that came of it."""
    row = ENVIRONMENTS.version_of(session, access.workspace_id, name, version)
    show_tag(response, row)
    return service.to_wire(row, whole=True)


@router.patch("/{name}/versions/{version}")
def change_environment_version(
    access: Contributor, session: Writing, name: Name, version: Version, body: EnvironmentChange, response: Response, if_match: IfMatch = None
) -> EnvironmentVersion:
    """Description, tags, archived; what is installed never changes."""
    row = ENVIRONMENTS.version_of(session, access.workspace_id, name, version)
    service.change(session, access, row, body, if_match)
    show_tag(response, row)
    return service.to_wire(row, whole=True)


@router.delete("/{name}/versions/{version}", status_code=204)
def delete_environment_version(access: Contributor, session: Writing, name: Name, version: Version, if_match: IfMatch = None) -> None:
    """Refused while something uses it, naming what does."""
    service.delete_version(session, access, ENVIRONMENTS.version_of(session, access.workspace_id, name, version), if_match)


@router.get("/{name}/versions/{version}/lock", response_class=PlainTextResponse)
def show_environment_lock(access: Reader, session: Reading, name: Name, version: Version) -> str:
    """Requirement lines with hashes, as pip and uv read them."""
    return ENVIRONMENTS.version_of(session, access.workspace_id, name, version).lock


@router.get("/{name}/diff")
def compare_environments(access: Reader, session: Reading, name: Name, first: Chosen, second: Chosen = "latest") -> EnvironmentDifference:
    """Packages, Python and variables that differ between two versions."""
    rows = [ENVIRONMENTS.version_of(session, access.workspace_id, name, each) for each in (first, second)]
    return service.difference(*rows)


@router.get("/{name}/versions/{version}/uses")
def list_environment_uses(access: Reader, session: Reading, pages: Pages, name: Name, version: Version, current: bool | None = None) -> Page[EnvironmentUse]:
    """Newest first."""
    row = ENVIRONMENTS.version_of(session, access.workspace_id, name, version)
    return uses.list_uses(session, EnvironmentUseRow.version_id, row.id, pages, current=current)


@router.post("/{name}/versions/{version}/build", status_code=202)
def build_environment(access: Contributor, parts: Parts, session: Reading, name: Name, version: Version) -> EnvironmentBuild:
    """Begins to build it on the server's machine, unless it is built; a deploy does the same when it needs it."""
    return parts.builds.begin(service.lock_of(ENVIRONMENTS.version_of(session, access.workspace_id, name, version)))


@router.get("/{name}/versions/{version}/build")
def show_environment_build(
    access: Reader,
    parts: Parts,
    session: Reading,
    name: Name,
    version: Version,
    offset: Annotated[int, Query(ge=0, le=2**40, description="Bytes of the log that the caller has.")] = 0,
) -> EnvironmentBuild:
    """Whether it is built on the server's machine, and what was said meanwhile."""
    row = ENVIRONMENTS.version_of(session, access.workspace_id, name, version)
    return parts.builds.state(service.lock_of(row).digest, offset)

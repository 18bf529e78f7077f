"""The audit log as it is read: newest first, filtered. It is written by `fairlead.server.audit`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Query
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fairlead.schemas.access import AuditEvent
from fairlead.schemas.wire import Key, Moment, Page
from fairlead.server.ids import first_id_at
from fairlead.server.paging import Paging, page
from fairlead.server.tables.access import AuditRow

SLACK = timedelta(seconds=5)  # an id and its time are taken one after the other


@dataclass(frozen=True)
class Filters:
    who: Annotated[Key | None, Query(description="The name of the person or program.")] = None
    action: Annotated[Key | None, Query(description="A verb, such as create.")] = None
    kind: Annotated[Key | None, Query(description="A noun, such as service.")] = None
    about: Annotated[Key | None, Query(description="Name or id of what it was done to.")] = None
    since: Annotated[Moment | None, Query(description="At this time or later.")] = None
    until: Annotated[Moment | None, Query(description="Before this time.")] = None
    request_id: Annotated[Key | None, Query(description="The x-request-id of the request that did it.")] = None


Chosen = Annotated[Filters, Depends()]


def list_events(session: Session, paging: Paging, asked: Filters, *, workspace_id: str | None) -> Page[AuditEvent]:
    """Those of one workspace, or (None) all."""
    chosen = select(AuditRow)
    if workspace_id is not None:
        chosen = chosen.where(AuditRow.workspace_id == workspace_id)
    equal = ((AuditRow.principal, asked.who), (AuditRow.action, asked.action), (AuditRow.kind, asked.kind), (AuditRow.request_id, asked.request_id))
    for column, value in equal:
        if value is not None:
            chosen = chosen.where(column == value)
    if asked.about is not None:
        chosen = chosen.where(or_(AuditRow.object_id == asked.about, AuditRow.name == asked.about))
    if asked.since is not None:  # ids are ordered by time, and the index is over ids
        chosen = chosen.where(AuditRow.at >= asked.since, AuditRow.id >= first_id_at(asked.since - SLACK))
    if asked.until is not None:
        chosen = chosen.where(AuditRow.at < asked.until, AuditRow.id < first_id_at(asked.until + SLACK))
    return page(session, chosen, [AuditRow.id], paging, _to_wire, newest_first=True)


def _to_wire(row: AuditRow) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        at=row.at,
        principal=row.principal,
        token_id=row.token_id,
        workspace=row.workspace,
        action=row.action,
        kind=row.kind,
        object_id=row.object_id,
        name=row.name,
        request_id=row.request_id,
        remote=row.remote,
        details=row.details,
    )

"""From an answer back to who let it be given: revision, bundle, model versions, environment, commit, person (DECISIONS 37)."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import NotFound
from fairlead.schemas.services import Trace
from fairlead.server.access import Access
from fairlead.server.context import Context
from fairlead.server.making import parts as named
from fairlead.server.services import revisions
from fairlead.server.tables.services import RevisionRow, ServiceRow

_SHORT_ID = re.compile(r"[0-9a-f]{12}")


def trace(parts: Context, access: Access, identity: str) -> Trace:
    """Raises NotFound."""
    with parts.database.reading() as session:
        found = _revision(session, access, identity)
        if found is not None:
            return _told(session, *found, None)
        services = list(session.scalars(_services(access).where(ServiceRow.place == parts.node.id)))
    for service in services:
        line = _logged(parts, service, identity)
        if line is not None:
            return _of_line(parts, access, identity, line)
    raise NotFound(
        f"{identity[:100]!r} is neither a revision (the header x-fairlead-revision of an answer) nor the id of a request in a kept log of this workspace; "
        "logs of the busiest services are kept for the shortest time."
    )


def _of_line(parts: Context, access: Access, identity: str, line: dict[str, Any]) -> Trace:
    with parts.database.reading() as session:
        found = _revision(session, access, str(line.get("revision")))
        if found is None:
            raise NotFound(f"The request {identity[:100]!r} is in a log, whose revision {line.get('revision')!r} is not known in this workspace.")
        return _told(session, *found, line)


def _services(access: Access) -> Any:
    """Deleted ones too: their logs may be there still. The youngest first."""
    return select(ServiceRow).where(ServiceRow.workspace_id == access.workspace_id).order_by(ServiceRow.id.desc()).limit(500)


def _revision(session: Session, access: Access, short_id: str) -> tuple[ServiceRow, RevisionRow] | None:
    if not _SHORT_ID.fullmatch(short_id):
        return None
    joined = select(ServiceRow, RevisionRow).join(RevisionRow, RevisionRow.service_id == ServiceRow.id)
    found = session.execute(joined.where(RevisionRow.short_id == short_id, ServiceRow.workspace_id == access.workspace_id)).first()
    return None if found is None else (found[0], found[1])


def _logged(parts: Context, service: ServiceRow, request_id: str) -> dict[str, Any] | None:
    """The access log's line of the request; any line of it, if that one is gone."""
    lines = parts.targets[service.target].logs(service.handle, tail=50, request_id=request_id)
    found = [said for line in lines if isinstance(said := _parsed(line), dict)]
    return next((said for said in found if "status" in said), found[-1] if found else None)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _told(session: Session, service: ServiceRow, row: RevisionRow, request: dict[str, Any] | None) -> Trace:
    return Trace(
        service=service.name,
        service_id=service.id,
        workspace=named.workspace_name(session, service.workspace_id),
        revision=revisions.to_wire(row),
        bundle_digest=row.bundle_digest,
        environment_lock=row.lock_digest,
        models=named.lineage(session, revisions.plan_of(row).models),
        deployed_by=row.created_by,
        deployed_at=row.created_at,
        request=request,
    )

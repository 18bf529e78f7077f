"""Who needs an image, and clearing up those that nobody does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from fairlead.errors import InUse
from fairlead.schemas.images import ImageUse, Pruned, Pruning
from fairlead.schemas.wire import Page
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.conditional import check_tag
from fairlead.server.faults import FaultPoint
from fairlead.server.images import keeping, names
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.tables.images import ImageRow
from fairlead.server.tables.services import RevisionRow, ServiceRow

DELETED = FaultPoint("images.delete.before-commit", "records of images are deleted, and not yet committed")
CURRENT = or_(
    RevisionRow.number == ServiceRow.wanted_revision, RevisionRow.number == ServiceRow.serving_revision, RevisionRow.number == ServiceRow.applied_revision
)


def list_uses(session: Session, row: ImageRow, paging: Paging) -> Page[ImageUse]:
    """Newest first."""
    keys = [RevisionRow.id]
    rows = page_rows(session, _uses().where(RevisionRow.image_id == row.id), keys, paging, newest_first=True)
    return Page(items=[_use(*each) for each in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def delete(session: Session, access: Access, said: str, if_match: str | None) -> None:
    """Raises NotFound, InUse while a service runs it, or is about to."""
    keeping.hold(session, access.workspace_id)
    row = names.find(session, access, said, lock=True)
    check_tag(if_match, row, f"The image {_named(row)}")
    users = sorted(set(session.scalars(select(ServiceRow.name).join(RevisionRow, RevisionRow.service_id == ServiceRow.id).where(_needs(row.id)))))
    if users:
        raise InUse(f"{_named(row)} is run by {', '.join(users)}; update or delete {'it' if len(users) == 1 else 'them'} first.", used_by=users)
    _delete(session, access, row)
    DELETED.reach()


def prune(session: Session, access: Access, body: Pruning) -> Pruned:
    keeping.hold(session, access.workspace_id)
    living = select(ImageRow).where(ImageRow.workspace_id == access.workspace_id, ImageRow.deleted_at.is_(None))
    rows = list(session.scalars(living.order_by(ImageRow.id.desc()).with_for_update()))
    unused = set(session.scalars(select(ImageRow.id).where(ImageRow.id.in_([row.id for row in rows]), ~_is_needed())))
    going = [row for row in _spare(rows, body) if row.id in unused]
    kept = {digest for row in rows if row not in going for digest in row.blobs}
    freed = {digest: size for row in going for digest, size in row.blobs.items() if digest not in kept}
    if not body.dry_run:
        for row in going:
            _delete(session, access, row)
        DELETED.reach()
    return Pruned(images=[row.id if row.version is None else _named(row) for row in going], freed_bytes=sum(freed.values()))


def _spare(rows: Sequence[ImageRow], body: Pruning) -> list[ImageRow]:
    """All that are decided, but for the newest ready ones of each name and those with a label; with keep=0 also these. `rows`: newest first."""
    seen: dict[str, int] = defaultdict(int)
    found = []
    for row in rows:
        if row.state not in ("ready", "failed") or (body.name is not None and row.name != body.name):
            continue
        seen[row.name] += row.state == "ready"
        if row.state == "failed" or body.keep == 0 or (seen[row.name] > body.keep and row.label is None):
            found.append(row)
    return found


def _delete(session: Session, access: Access, row: ImageRow) -> None:
    row.deleted_at = row.updated_at = now()
    row.due_at, row.label = None, None
    row.etag, row.serial = row.etag + 1, row.serial + 1
    audit.record(session, access, "delete", "image", row.id, _named(row))
    session.flush()


def _named(row: ImageRow) -> str:
    return row.name if row.version is None else f"{row.name}:{row.version}"


def _uses() -> Select[RevisionRow, ServiceRow]:
    return select(RevisionRow, ServiceRow).join(ServiceRow, ServiceRow.id == RevisionRow.service_id).where(ServiceRow.deleted_at.is_(None))


def _needs(image_id: str) -> ColumnElement[bool]:
    return and_(ServiceRow.deleted_at.is_(None), RevisionRow.image_id == image_id, CURRENT)


def _is_needed() -> ColumnElement[bool]:
    """Of a row of images: a living service answers with it, or is about to. What it answered with before can be built again."""
    return exists().where(RevisionRow.image_id == ImageRow.id, RevisionRow.service_id == ServiceRow.id, ServiceRow.deleted_at.is_(None), CURRENT)


def _use(revision: RevisionRow, service: ServiceRow) -> ImageUse:
    current = revision.number in (service.wanted_revision, service.serving_revision, service.applied_revision)
    said = {"service": service.name, "revision": revision.number, "target": service.target, "state": revision.state}
    return ImageUse.model_validate({**said, "current": current, "since": revision.created_at})

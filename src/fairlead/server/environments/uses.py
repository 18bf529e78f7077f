"""Where versions are used: a service's revision needs one from `begin` to `end`, and while it does it cannot be deleted.

Whoever makes a revision calls `begin` in the transaction that makes it, and `end` in the one after which it can never answer again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from fairlead.schemas.environments import EnvironmentUse
from fairlead.schemas.wire import Page
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.numbered import ENVIRONMENTS
from fairlead.server.paging import Paging, page
from fairlead.server.tables.environments import EnvironmentUseRow, EnvironmentVersionRow


def begin(session: Session, version_id: str, *, object_id: str, name: str, revision: int, kind: str = "service") -> None:
    """Twice is once. Raises NotFound when the version was deleted meanwhile."""
    row = session.get_one(EnvironmentVersionRow, version_id)
    ENVIRONMENTS.hold(session, row.environment_id)
    ENVIRONMENTS.refuse_deleted(session, row)
    mine = (EnvironmentUseRow.object_id == object_id) & (EnvironmentUseRow.revision == revision) & EnvironmentUseRow.until.is_(None)
    if session.scalar(select(EnvironmentUseRow.id).where(mine, EnvironmentUseRow.version_id == version_id)) is None:
        said: dict[str, Any] = {"kind": kind, "object_id": object_id, "name": name, "revision": revision, "since": now(), "until": None}
        session.add(EnvironmentUseRow(id=new_id(), environment_id=row.environment_id, version_id=row.id, version=row.version, **said))
        session.flush()


def end(session: Session, object_id: str, *, revision: int | None = None) -> None:
    """All uses by the object, or those of one revision. Silent when there are none."""
    ended = update(EnvironmentUseRow).where(EnvironmentUseRow.object_id == object_id, EnvironmentUseRow.until.is_(None))
    if revision is not None:
        ended = ended.where(EnvironmentUseRow.revision == revision)
    session.execute(ended.values(until=now()))


def names_of(session: Session, version_ids: Sequence[str]) -> list[str]:
    """Of whatever uses one of these versions now, such as `service churn-api`."""
    current = select(EnvironmentUseRow).where(EnvironmentUseRow.version_id.in_(version_ids), EnvironmentUseRow.until.is_(None))
    return sorted({f"{use.kind} {use.name}" for use in session.scalars(current)})


def list_uses(session: Session, column: InstrumentedAttribute[str], of_id: str, paging: Paging, *, current: bool | None) -> Page[EnvironmentUse]:
    """Newest first. column: version_id or environment_id of the table, which `of_id` is one of."""
    chosen = select(EnvironmentUseRow).where(column == of_id)
    if current is not None:
        chosen = chosen.where(EnvironmentUseRow.until.is_(None) if current else EnvironmentUseRow.until.is_not(None))
    return page(session, chosen, [EnvironmentUseRow.id], paging, _to_wire, newest_first=True)


def _to_wire(row: EnvironmentUseRow) -> EnvironmentUse:
    kept = {name: getattr(row, name) for name in ("kind", "name", "revision", "version", "since", "until")}
    return EnvironmentUse(**kept, current=row.until is None)

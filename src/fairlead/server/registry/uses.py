"""Where versions are used: a service's revision needs them from `begin` to `end`, and while it does they cannot be deleted.

Whoever makes a revision calls `begin` in the transaction that makes it, and `end` in the one after which it can never answer again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fairlead.schemas.models import Use
from fairlead.schemas.wire import Page
from fairlead.server import faults
from fairlead.server.clock import now
from fairlead.server.db import slices
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, page
from fairlead.server.registry import history, names
from fairlead.server.registry.history import Happening
from fairlead.server.tables.registry import ModelUseRow, ModelVersionRow

BEGUN = faults.FaultPoint("registry.uses.begun", "that a revision uses its versions is written, not committed")
ENDED = faults.FaultPoint("registry.uses.ended", "that a revision uses its versions no more is written, not committed")


@dataclass(frozen=True, kw_only=True)
class User:
    """What uses a version. `object_id`: of the service; its name is as it was then."""

    kind: str = "service"
    object_id: str
    name: str
    revision: int


def begin(session: Session, by: str | None, user: User, version_ids: Iterable[str]) -> None:
    """by: the principal's name, None for the server itself. Twice is once. Raises NotFound when a version was deleted meanwhile."""
    known = set(session.scalars(select(ModelUseRow.version_id).where(_is_of(user.object_id, user.revision))))
    for row in _in_order(session, set(version_ids) - known):
        history.hold(session, row.model_id)
        names.locked(session, row)
        use = ModelUseRow(id=new_id(), since=now(), until=None, **_facts(user), **_version(row))
        session.add(use)
        details = {"use": use.id, "kind": user.kind, "name": user.name, "revision": user.revision}
        event = history.DEPLOYED if user.kind in history.DEPLOYABLE else history.USED
        history.append(session, row.model_id, Happening(event=event, by=by, version=row, details=details))
    session.flush()
    BEGUN.reach()


def end(session: Session, by: str | None, object_id: str, *, revision: int | None = None) -> None:
    """All uses by the object, or those of one revision. Silent when there are none."""
    found = list(session.scalars(select(ModelUseRow).where(_is_of(object_id, revision)).order_by(ModelUseRow.model_id, ModelUseRow.version_id)))
    for use in found:
        history.hold(session, use.model_id)
        row = session.get_one(ModelVersionRow, use.version_id, populate_existing=True, with_for_update=True)
        use.until = now()
        details = {"use": use.id, "kind": use.kind, "name": use.name, "revision": use.revision}
        event = history.UNDEPLOYED if use.kind in history.DEPLOYABLE else history.UNUSED
        history.append(session, row.model_id, Happening(event=event, by=by, version=row, details=details))
    session.flush()
    ENDED.reach()


def of(session: Session, version_id: str) -> Sequence[ModelUseRow]:
    """Those of now."""
    return session.scalars(_current([version_id])).all()


def names_of(session: Session, version_ids: Sequence[str]) -> list[str]:
    """Of whatever uses one of these versions now, such as `service churn-api`."""
    return sorted({f"{use.kind} {use.name}" for part in slices(version_ids) for use in session.scalars(_current(part))})


def list_uses(session: Session, column: InstrumentedAttribute[str], of_id: str, paging: Paging, *, current: bool | None) -> Page[Use]:
    """Newest first. column: version_id or model_id of the table, which `of_id` is one of."""
    chosen = select(ModelUseRow).where(column == of_id)
    if current is not None:
        chosen = chosen.where(ModelUseRow.until.is_(None) if current else ModelUseRow.until.is_not(None))
    return page(session, chosen, [ModelUseRow.id], paging, to_wire, newest_first=True)


def to_wire(row: ModelUseRow) -> Use:
    return Use.model_validate(
        {
            "kind": row.kind,
            "name": row.name,
            "revision": row.revision,
            "version": row.version,
            "current": row.until is None,
            "since": row.since,
            "until": row.until,
        }
    )


def _current(version_ids: Sequence[str]) -> Select[ModelUseRow]:
    return select(ModelUseRow).where(ModelUseRow.version_id.in_(version_ids), ModelUseRow.until.is_(None)).order_by(ModelUseRow.name)


def _is_of(object_id: str, revision: int | None) -> ColumnElement[bool]:
    current = (ModelUseRow.object_id == object_id) & ModelUseRow.until.is_(None)
    return current if revision is None else current & (ModelUseRow.revision == revision)


def _in_order(session: Session, version_ids: set[str]) -> Sequence[ModelVersionRow]:
    """Always in the same order, so that two deploys of the same models do not wait for each other for ever."""
    chosen = select(ModelVersionRow).where(ModelVersionRow.id.in_(version_ids)).order_by(ModelVersionRow.model_id, ModelVersionRow.id)
    return session.scalars(chosen).all()


def _facts(user: User) -> dict[str, Any]:
    return {"kind": user.kind, "object_id": user.object_id, "name": user.name, "revision": user.revision}


def _version(row: ModelVersionRow) -> dict[str, Any]:
    return {"workspace_id": row.workspace_id, "model_id": row.model_id, "version_id": row.id, "version": row.version}

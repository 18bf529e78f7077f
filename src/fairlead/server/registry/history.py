"""What happened to a model, in order; and what that makes of a version: its stage is a function of its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fairlead.errors import NotFound
from fairlead.schemas.models import HistoryEvent
from fairlead.schemas.wire import Page
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, page
from fairlead.server.tables.registry import ModelEventRow, ModelRow, ModelVersionRow

REGISTERED, CHANGED, DELETED = "registered", "changed", "deleted"
ARCHIVED, UNARCHIVED = "archived", "unarchived"
DEPLOYED, UNDEPLOYED = "deployed", "undeployed"
USED, UNUSED = "used", "unused"  # by a job, for as long as it runs: no deployment, so it makes no stage
DEPLOYABLE = ("service", "batch-service")
ALIAS_MOVED, ALIAS_REMOVED = "alias-moved", "alias-removed"
_STAGE_EVENTS = (ARCHIVED, UNARCHIVED, DEPLOYED, UNDEPLOYED)


@dataclass(frozen=True, kw_only=True)
class Happening:
    """An event before it is written. `by`: the principal's name; None: the server itself."""

    event: str
    by: str | None
    version: ModelVersionRow | None = None
    alias: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def hold(session: Session, model_id: str) -> None:
    """Keeps others from changing anything of this model until the transaction ends. Raises NotFound when it was deleted meanwhile."""
    if session.scalar(select(ModelRow.id).where(ModelRow.id == model_id, ModelRow.deleted_at.is_(None)).with_for_update()) is None:
        raise _gone()


def append(session: Session, model_id: str, what: Happening) -> int:
    """The event's number; holds the model's row like `hold`."""
    number = _number_next(session, model_id)
    write(session, model_id, number, what)
    return number


def write(session: Session, model_id: str, number: int, what: Happening) -> None:
    row = what.version
    session.add(
        ModelEventRow(
            model_id=model_id,
            number=number,
            id=new_id(),
            at=now(),
            principal=what.by,
            event=what.event,
            version_id=row.id if row else None,
            version=row.version if row else None,
            alias=what.alias,
            details=what.details,
        )
    )
    if row is not None and what.event in _STAGE_EVENTS:
        session.flush()
        row.stage = stage_of(_stage_events(session, row.id))


def stage_of(events: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """`deployed` while something uses the version, else `archived` if it is, else `registered`. Takes (event, details), oldest first."""
    uses: set[str] = set()
    archived = False
    for event, details in events:
        if event == DEPLOYED:
            uses.add(str(details["use"]))
        elif event == UNDEPLOYED:
            uses.discard(str(details["use"]))
        elif event in (ARCHIVED, UNARCHIVED):
            archived = event == ARCHIVED
    return DEPLOYED if uses else ARCHIVED if archived else REGISTERED


def list_events(session: Session, model_id: str, paging: Paging, *, version_id: str | None = None, alias: str | None = None) -> Page[HistoryEvent]:
    """Newest first."""
    chosen = select(ModelEventRow).where(ModelEventRow.model_id == model_id)
    if version_id is not None:
        chosen = chosen.where(ModelEventRow.version_id == version_id)
    if alias is not None:
        chosen = chosen.where(ModelEventRow.alias == alias)
    return page(session, chosen, [ModelEventRow.number], paging, to_wire, newest_first=True)


def to_wire(row: ModelEventRow) -> HistoryEvent:
    said = row.details if row.alias is None else {"alias": row.alias, **row.details}
    return HistoryEvent(id=row.id, number=row.number, at=row.at, principal=row.principal, event=row.event, version=row.version, details=said)


def _stage_events(session: Session, version_id: str) -> list[tuple[str, dict[str, Any]]]:
    chosen = select(ModelEventRow.event, ModelEventRow.details).where(ModelEventRow.version_id == version_id, ModelEventRow.event.in_(_STAGE_EVENTS))
    return [(event, details) for event, details in session.execute(chosen.order_by(ModelEventRow.number))]


def _number_next(session: Session, model_id: str) -> int:
    counting = update(ModelRow).where(ModelRow.id == model_id, ModelRow.deleted_at.is_(None)).values(last_event=ModelRow.last_event + 1, updated_at=now())
    number: int | None = session.scalar(counting.returning(ModelRow.last_event), execution_options={"synchronize_session": False})
    if number is None:
        raise _gone()
    return number


def _gone() -> NotFound:
    return NotFound("The model was deleted meanwhile; `fairlead model list` shows those there are.")

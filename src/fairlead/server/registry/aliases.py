"""Names that move: `churn@champion` is one version now and may be another tomorrow. Each move is an event, so where it was is never lost."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import Changed, UsageError
from fairlead.schemas.models import Alias
from fairlead.schemas.references import LATEST, Reference
from fairlead.schemas.wire import Page
from fairlead.server import audit, faults
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.conditional import check_tag
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.registry import history, names
from fairlead.server.registry.history import Happening
from fairlead.server.tables.registry import ModelAliasRow, ModelRow

MOVED = faults.FaultPoint("registry.alias.before-commit", "an alias is moved or removed, not committed")


def list_aliases(session: Session, model: ModelRow, paging: Paging) -> Page[Alias]:
    keys = [ModelAliasRow.alias]
    rows = page_rows(session, select(ModelAliasRow).where(ModelAliasRow.model_id == model.id), keys, paging)
    return Page(items=[to_wire(model, row) for (row,) in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def alias_of(session: Session, model: ModelRow, alias: str) -> ModelAliasRow:
    """Raises NotFound."""
    row = session.get(ModelAliasRow, (model.id, alias))
    if row is None:
        raise names.no_alias(model.name, alias)
    return row


def move(session: Session, access: Access, asked: Reference, alias: str, if_match: str | None) -> tuple[ModelRow, ModelAliasRow]:
    """Makes it, or moves it to the version. Raises NotFound, Changed."""
    if alias == LATEST:
        raise UsageError(f"{LATEST!r} is the newest version by itself; choose another alias.")
    version = names.version_of(session, access.workspace_id, asked)
    history.hold(session, version.model_id)
    names.locked(session, version)
    model = session.get_one(ModelRow, version.model_id)
    row = session.get(ModelAliasRow, (model.id, alias), populate_existing=True)
    _check(if_match, row, f"{model.name}@{alias}")
    before = row.version if row else None
    row = row or ModelAliasRow(model_id=model.id, alias=alias)
    details = {"from": before, "to": version.version}
    happening = Happening(event=history.ALIAS_MOVED, by=access.principal, version=version, alias=alias, details=details)
    row.etag = history.append(session, model.id, happening)
    row.version_id, row.version, row.updated_at = version.id, version.version, now()
    session.add(row)
    audit.record(session, access, "alias", "model", version.id, f"{model.name}@{alias}", **details)
    session.flush()
    MOVED.reach()
    return model, row


def remove(session: Session, access: Access, model: ModelRow, alias: str, if_match: str | None) -> None:
    """Raises NotFound, Changed."""
    history.hold(session, model.id)
    row = session.get(ModelAliasRow, (model.id, alias), populate_existing=True)
    if row is None:
        raise names.no_alias(model.name, alias)
    _check(if_match, row, f"{model.name}@{alias}")
    details = {"from": row.version, "to": None}
    history.append(session, model.id, Happening(event=history.ALIAS_REMOVED, by=access.principal, alias=alias, details=details))
    audit.record(session, access, "unalias", "model", row.version_id, f"{model.name}@{alias}", **details)
    session.delete(row)
    session.flush()
    MOVED.reach()


def to_wire(model: ModelRow, row: ModelAliasRow) -> Alias:
    return Alias(name=model.name, alias=row.alias, version=row.version, updated_at=row.updated_at)


def _check(if_match: str | None, row: ModelAliasRow | None, what: str) -> None:
    if row is not None:
        check_tag(if_match, row, what)
    elif if_match is not None:
        raise Changed(f"{what} is not there any more; read it again, then repeat the change.")

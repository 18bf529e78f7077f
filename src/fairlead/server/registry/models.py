"""A name with all its versions."""

from __future__ import annotations

from sqlalchemy import delete as delete_from
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import InUse
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.registry import facts, history, uses
from fairlead.server.registry.history import Happening
from fairlead.server.registry.versions import DELETED
from fairlead.server.tables.registry import ModelAliasRow, ModelRow, ModelVersionRow


def delete(session: Session, access: Access, model: ModelRow) -> None:
    """With its versions and aliases; the name is free again, and a model that takes it begins at version 1. Raises InUse while a service uses one."""
    history.hold(session, model.id)
    living = list(session.scalars(select(ModelVersionRow).where(ModelVersionRow.model_id == model.id, ModelVersionRow.deleted_at.is_(None))))
    ids = [row.id for row in living]
    users = uses.names_of(session, ids)
    if users:
        raise InUse(f"The model {model.name!r} is used by {', '.join(users)}; delete or update {'it' if len(users) == 1 else 'them'} first.", used_by=users)
    at = now()
    for row in living:
        row.deleted_at = row.updated_at = at
    facts.forget(session, ids)
    session.execute(delete_from(ModelAliasRow).where(ModelAliasRow.model_id == model.id))
    history.append(session, model.id, Happening(event=history.DELETED, by=access.principal, details={"versions": [row.version for row in living]}))
    session.refresh(model)
    model.deleted_at, model.versions, model.latest_version = at, 0, 0
    audit.record(session, access, "delete", "model", model.id, model.name, versions=len(living))
    session.flush()
    DELETED.reach()

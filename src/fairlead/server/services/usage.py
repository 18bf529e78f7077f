"""Which versions of models and environments a revision needs, told to their registries: from when it is wanted until it can never answer again."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.server.environments import uses as environment_uses
from fairlead.server.making.plans import Plan
from fairlead.server.registry import uses as model_uses
from fairlead.server.registry.uses import User
from fairlead.server.tables.environments import EnvironmentVersionRow
from fairlead.server.tables.registry import ModelVersionRow
from fairlead.server.tables.services import RevisionRow, ServiceRow


def begin(session: Session, by: str, service: ServiceRow, row: RevisionRow, plan: Plan) -> None:
    """What is packed already needs no version that was deleted since. Raises NotFound when one was that is needed."""
    ids = [model.id for model in plan.models]
    if row.bundle_tree is not None:
        ids = list(session.scalars(select(ModelVersionRow.id).where(ModelVersionRow.id.in_(ids), ModelVersionRow.deleted_at.is_(None))))
    if ids:
        model_uses.begin(session, by, User(object_id=service.id, name=service.name, revision=row.number), ids)
    if plan.environment.id is not None and (row.lock_blob is None or _lives(session, plan.environment.id)):
        environment_uses.begin(session, plan.environment.id, object_id=service.id, name=service.name, revision=row.number)


def end(session: Session, service: ServiceRow, row: RevisionRow | None = None) -> None:
    """Of one revision, or of all. A rollback to it needs its bundle, which is kept, and no model."""
    revision = None if row is None else row.number
    model_uses.end(session, None, service.id, revision=revision)
    environment_uses.end(session, service.id, revision=revision)


def _lives(session: Session, environment_version_id: str) -> bool:
    return session.get_one(EnvironmentVersionRow, environment_version_id).deleted_at is None

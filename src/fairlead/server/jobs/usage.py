"""Which versions of models and environments a job needs, told to their registries: from when it is asked for until it is over."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairlead.server.environments import uses as environment_uses
from fairlead.server.making.plans import Plan
from fairlead.server.registry import uses as model_uses
from fairlead.server.registry.uses import User

JOB, BATCH_SERVICE = "job", "batch-service"


def begin(session: Session, by: str | None, user: User, plan: Plan) -> None:
    """Raises NotFound when a version was deleted meanwhile."""
    if plan.models:
        model_uses.begin(session, by, user, [model.id for model in plan.models])
    if plan.environment.id is not None:
        environment_uses.begin(session, plan.environment.id, object_id=user.object_id, name=user.name, revision=user.revision, kind=user.kind)


def end(session: Session, by: str | None, object_id: str) -> None:
    model_uses.end(session, by, object_id)
    environment_uses.end(session, object_id)

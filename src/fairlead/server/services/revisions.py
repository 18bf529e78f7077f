"""Revisions: made once, and then only their fate is written."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.schemas.services import Failure, Revision, Settings
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.making.plans import Plan
from fairlead.server.services import events
from fairlead.server.tables.services import RevisionModelRow, RevisionRow, ServiceRow
from fairlead.targets.types import LAST_LINES, State

Reason = Literal["deploy", "update", "scale", "rollback", "reload"]
LONGEST_MESSAGE = 4000
AS_THEY_ARE = (
    "id", "created_at", "created_by", "number", "short_id", "reason", "rollback_of", "models", "bundle_digest", "git_commit", "git_dirty", "stage", "state",
    "failure", "finished_at",
)  # fmt: skip
PINS = ("bundle_digest", "bundle_tree", "lock_digest", "lock_blob", "lock_python", "variables", "image_id", "image")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who wants the revision, from where, and why. `like`: an earlier one that is made of the same."""

    reason: Reason
    author: str
    git_commit: str | None = None
    git_dirty: bool | None = None
    like: RevisionRow | None = None
    pins: Mapping[str, Any] = field(default_factory=dict)
    """What is made already, where no earlier revision has it: of an image."""


def add(session: Session, service: ServiceRow, plan: Plan, settings: Settings, origin: Origin) -> RevisionRow:
    """The service's next revision, wanted from now on and due to be prepared."""
    number = service.wanted_revision + 1
    like = origin.like
    row = RevisionRow(
        id=new_id(),
        service_id=service.id,
        number=number,
        short_id=secrets.token_hex(6),
        reason=origin.reason,
        rollback_of=like.number if like and origin.reason == "rollback" else None,
        models=[each.reference for each in plan.models],
        recipe=plan.model_dump(mode="json", exclude_defaults=True),
        settings=settings.model_dump(mode="json", exclude_none=True),
        git_commit=origin.git_commit,
        git_dirty=origin.git_dirty,
        created_at=now(),
        created_by=origin.author,
        state="pending",
        stage="packaging",
        due_at=now(),
        lease_token=0,
        tries=0,
        **({name: getattr(like, name) for name in PINS} if like is not None else origin.pins),
    )
    session.add(row)
    session.flush()
    session.add_all(_models(service, row, plan))
    service.wanted_revision = number
    service.update_error = None
    return row


def plan_of(row: RevisionRow) -> Plan:
    return Plan.model_validate(row.recipe)


def settings_of(row: RevisionRow) -> Settings:
    return Settings.model_validate(row.settings)


def image_name_of(row: RevisionRow) -> str | None:
    """`churn:3@sha256:…`."""
    return f"{row.image['name']}@sha256:{row.image['digest']}" if row.image else None


def numbered(session: Session, service: ServiceRow, number: int | None) -> RevisionRow | None:
    if number is None:
        return None
    return session.scalars(select(RevisionRow).where(RevisionRow.service_id == service.id, RevisionRow.number == number)).one_or_none()


def enter(session: Session, service: ServiceRow, row: RevisionRow, stage: str, message: str) -> None:
    row.stage, service.message = stage, message
    events.note(session, service, stage, message, row.number)


def fail(session: Session, service: ServiceRow, row: RevisionRow, failure: Failure) -> None:
    """What served goes on serving; a first deploy leaves a failed service."""
    kept = failure.model_copy(update={"message": failure.message[:LONGEST_MESSAGE], "log_lines": failure.log_lines[-LAST_LINES:]})
    row.state, row.failure, row.finished_at, row.due_at = "failed", kept.model_dump(mode="json"), now(), None
    if row.number == service.wanted_revision:
        service.update_error = row.failure
        if service.serving_revision is None:
            service.state, service.message = State.FAILED.value, kept.message
        elif service.state == State.UPDATING.value:
            service.state, service.message = State.RUNNING.value, ""
    events.note(session, service, "failed", f"{failure.stage}: {failure.cause}: {kept.message}", row.number)


def supersede(session: Session, service: ServiceRow, row: RevisionRow) -> None:
    said = "Another revision was asked for before this one was ready."
    row.state, row.finished_at, row.due_at = "failed", now(), None
    row.failure = Failure(stage=row.stage or "packaging", cause="superseded", message=said).model_dump(mode="json")
    events.note(session, service, "superseded", said, row.number)


def succeed(session: Session, service: ServiceRow, row: RevisionRow) -> Sequence[RevisionRow]:
    """It serves now; answers those that it took the place of."""
    former = list(session.scalars(select(RevisionRow).where(RevisionRow.service_id == service.id, RevisionRow.state == "running", RevisionRow.id != row.id)))
    for each in former:
        each.state = "replaced"
    row.state, row.stage, row.failure, row.finished_at = "running", "running", None, now()
    service.message = ""
    service.serving_revision = row.number
    if service.wanted_revision == row.number:
        service.update_error = None
    events.note(session, service, "running", f"Revision {row.number} answers.", row.number)
    return former


def to_wire(row: RevisionRow) -> Revision:
    said = {name: getattr(row, name) for name in AS_THEY_ARE}
    derived = {
        "code": row.recipe.get("code"),
        "environment_lock": row.lock_digest,
        "image": image_name_of(row),
        "settings": row.settings,
        "inference_config": row.recipe.get("inference_config"),
    }
    return Revision.model_validate(said | derived)


def _models(service: ServiceRow, row: RevisionRow, plan: Plan) -> list[RevisionModelRow]:
    return [
        RevisionModelRow(
            revision_id=row.id,
            position=position,
            service_id=service.id,
            number=row.number,
            model_version_id=each.id,
            name=each.name,
            version=each.version,
        )
        for position, each in enumerate(plan.models)
    ]

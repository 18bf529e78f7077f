"""What is wanted of an image, written in one transaction. Building it is the loop's."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from fairlead.schemas.images import Image, NewImage, check_image_name, check_label, image_name_of
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts.secrets import refuse_missing
from fairlead.server.accounts.workspaces import keep_workspace
from fairlead.server.clock import now
from fairlead.server.context import Context
from fairlead.server.faults import FaultPoint
from fairlead.server.ids import new_id
from fairlead.server.images import showing
from fairlead.server.making import plans
from fairlead.server.making.plans import Plan
from fairlead.server.tables.images import ImageModelRow, ImageRow

CREATED = FaultPoint("images.create.before-commit", "an image is asked for, and not yet committed")


def create(session: Session, access: Access, parts: Context, body: NewImage) -> Image:
    """Raises UsageError, NotFound."""
    keep_workspace(session, access)
    if body.label is not None:
        check_label(body.label)
    plan = plans.first(session, access, body)
    if plan.base is not None and plan.base.password_secret is not None:
        refuse_missing(session, access.workspace_id, [plan.base.password_secret])
    name = check_image_name(body.name) if body.name is not None else image_name_of(plan.models[0].name if plan.models else "image")
    row = new_row(
        plan,
        workspace_id=access.workspace_id,
        name=name,
        created_by=access.principal,
        label=body.label,
        wish={"platforms": list(dict.fromkeys(body.platforms)), **({"dockerfile": body.dockerfile.model_dump()} if body.dockerfile else {})},
        description=body.description,
        tags=body.tags,
        git_commit=body.git_commit,
        git_dirty=body.git_dirty,
        stage="packaging",
        due_at=now(),
    )
    add(session, row, plan)
    audit.record(session, access, "create", "image", row.id, row.name, models=row.models)
    CREATED.reach()
    parts.news.tell_after(session)
    return showing.to_wire(row)


def new_row(plan: Plan, **said: Any) -> ImageRow:
    """Pending, unless `said` says otherwise."""
    at = now()
    plain: dict[str, Any] = {
        "id": new_id(),
        "models": [each.reference for each in plan.models],
        "recipe": plan.model_dump(mode="json", exclude_defaults=True),
        "wish": {},
        "description": "",
        "tags": {},
        "created_at": at,
        "updated_at": at,
        "state": "pending",
        "message": "",
        "log": "",
        "platforms": [],
        "blobs": {},
        "signatures": [],
        "etag": 1,
        "serial": 1,
        "lease_token": 0,
        "tries": 0,
    }
    return ImageRow(**plain | said)


def add(session: Session, row: ImageRow, plan: Plan) -> None:
    session.add(row)
    session.flush()
    models = [(position, each) for position, each in enumerate(plan.models)]
    session.add_all(
        ImageModelRow(image_id=row.id, position=position, model_version_id=each.id, name=each.name, version=each.version) for position, each in models
    )
    session.flush()

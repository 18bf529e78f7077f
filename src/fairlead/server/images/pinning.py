"""An image as a service runs it: the one platform of this machine, and what a revision keeps of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.images.bases import own
from fairlead.server.access import Access
from fairlead.server.images import names
from fairlead.server.making.plans import Plan
from fairlead.server.tables.images import ImageRow

SHARED = ("bundle_digest", "bundle_tree", "lock_digest", "lock_blob", "lock_python", "variables")


def find(session: Session, access: Access, said: str) -> tuple[Plan, dict[str, Any]]:
    """What an image was made of, and the columns of a revision that runs it. Raises NotFound, UsageError."""
    row = names.find(session, access, said)
    if row.context is not None:
        raise UsageError(f"{said} is a Dockerfile and its context, and no image; package it without --dockerfile, or deploy its models.")
    if row.state != "ready" or row.digest is None:
        raise UsageError(f"The image {said!r} is {row.state}; wait until it is ready (`fairlead image show {said}`).")
    return Plan.model_validate(row.recipe), {name: getattr(row, name) for name in SHARED} | columns(row)


def columns(row: ImageRow) -> dict[str, Any]:
    """`image`: what a target is told. Raises UsageError when it is not for this machine's kind."""
    mine = next((each for each in row.platforms if each["platform"] == own()), None)
    if mine is None:
        there = ", ".join(each["platform"] for each in row.platforms)
        raise UsageError(f"The image {row.name}:{row.version} is for {there}, and this server's machine is {own()}; package it with --platform {own()}.")
    size = sum(layer["size"] for layer in mine["layers"])
    return {"image_id": row.id, "image": {"digest": mine["manifest"], "id": mine["config"], "name": f"{row.name}:{row.version}", "size": size}}

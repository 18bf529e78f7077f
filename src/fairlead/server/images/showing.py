"""Images as readers see them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.schemas.images import Image, ImageState
from fairlead.schemas.wire import Page
from fairlead.server.access import Access
from fairlead.server.paging import Paging, page
from fairlead.server.tables.images import ImageModelRow, ImageRow

AS_THEY_ARE = (
    "id", "created_at", "created_by", "name", "version", "label", "state", "stage", "message", "failure", "digest", "media_type", "size", "models", "platforms",
    "base", "signatures", "bundle_digest", "context", "description", "tags", "git_commit", "git_dirty", "updated_at", "finished_at", "serial",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Filters:
    """`model`: NAME or NAME:VERSION."""

    name: str | None = None
    model: str | None = None
    state: ImageState | None = None


def to_wire(row: ImageRow, *, whole: bool = True) -> Image:
    said = {name: getattr(row, name) for name in AS_THEY_ARE}
    return Image.model_validate(said | {"environment_lock": row.lock_digest, "blobs": row.blobs if whole else {}})


def list_images(session: Session, access: Access, filters: Filters, paging: Paging) -> Page[Image]:
    """Newest first."""
    chosen = select(ImageRow).where(ImageRow.workspace_id == access.workspace_id, ImageRow.deleted_at.is_(None), *_conditions(filters))
    return page(session, chosen, [ImageRow.id], paging, lambda row: to_wire(row, whole=False), newest_first=True)


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.name is not None:
        found.append(ImageRow.name == filters.name)
    if filters.state is not None:
        found.append(ImageRow.state == filters.state)
    if filters.model is not None:
        found.append(_has_model(filters.model))
    return found


def _has_model(said: str) -> ColumnElement[bool]:
    name, _, version = said.partition(":")
    if version and not (version.isascii() and version.isdigit() and len(version) < 10):
        raise UsageError(f"model={said[:100]!r}: write NAME or NAME:VERSION, such as churn:3.")
    which = [ImageModelRow.image_id == ImageRow.id, ImageModelRow.name == name]
    return exists().where(*which, ImageModelRow.version == int(version)) if version else exists().where(*which)

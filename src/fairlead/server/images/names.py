"""Which image is meant: by id, by name with version or label, by digest."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from fairlead.errors import NotFound
from fairlead.schemas.images import parse_image
from fairlead.server.access import Access
from fairlead.server.tables.images import ImageRow

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def find(session: Session, access: Access, said: str, *, lock: bool = False) -> ImageRow:
    """A name alone, or `name:latest`, is its newest version that is ready. Raises NotFound, UsageError."""
    row = _found(session, access.workspace_id, said, lock=lock)
    if row is not None and row.same_as is not None:
        row = _one(session, access.workspace_id, ImageRow.id == row.same_as, lock=lock)
    if row is None or row.deleted_at is not None:
        raise NotFound(f"There is no image {said[:150]!r} in the workspace {access.workspace!r}; `fairlead image list` shows those there are.")
    return row


def _found(session: Session, workspace_id: str, said: str, *, lock: bool) -> ImageRow | None:
    if _ID.fullmatch(said):
        return _one(session, workspace_id, ImageRow.id == said, lock=lock)
    if by_digest := _DIGEST.fullmatch(said):
        return _newest(session, workspace_id, ImageRow.digest == by_digest[1], lock=lock)
    name, word = parse_image(said)
    which = ImageRow.name == name
    if word is None or word == "latest":
        return _newest(session, workspace_id, which, lock=lock)
    labelled = _newest(session, workspace_id, which & (ImageRow.label == word), lock=lock)
    if labelled is None and _NUMBER.fullmatch(word):
        return _newest(session, workspace_id, which & (ImageRow.version == int(word)), lock=lock)
    return labelled


def _one(session: Session, workspace_id: str, which: ColumnElement[bool], *, lock: bool) -> ImageRow | None:
    chosen = select(ImageRow).where(ImageRow.workspace_id == workspace_id, which)
    return session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()


def _newest(session: Session, workspace_id: str, which: ColumnElement[bool], *, lock: bool) -> ImageRow | None:
    ready = (ImageRow.deleted_at.is_(None), ImageRow.state == "ready", which)
    chosen = select(ImageRow).where(ImageRow.workspace_id == workspace_id, *ready).order_by(ImageRow.version.desc()).limit(1)
    return session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()

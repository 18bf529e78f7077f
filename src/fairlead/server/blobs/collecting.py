"""Uploads that nobody goes on with: they count against the quota until they are forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from sqlalchemy import select

from fairlead.server.blobs import service
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.tables.blobs import UploadRow
from fairlead.stores import Store


class Parts(Protocol):
    """All that it takes of a server."""

    @property
    def database(self) -> Database: ...
    @property
    def store(self) -> Store: ...


def forget_stale_uploads(parts: Parts, older_than: timedelta) -> int:
    """Those to which nothing came for so long, with their bytes; how many. Who goes on with one begins it again."""
    before = now() - older_than
    moving = {upload.id for upload in parts.store.uploads() if upload.modified >= before}
    with parts.database.reading() as session:
        old = [upload_id for upload_id in session.scalars(select(UploadRow.id).where(UploadRow.created_at < before)) if upload_id not in moving]
    for upload_id in old:
        parts.store.abandon(upload_id)
        with parts.database.writing() as session:
            service.forget_upload(session, upload_id)
    return len(old)

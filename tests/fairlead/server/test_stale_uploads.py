"""Uploads that nobody goes on with are forgotten; those that move stay, however long ago they began."""

from __future__ import annotations

import io
import os
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update

from fairlead.schemas.blobs import NewUpload
from fairlead.server.access import Access
from fairlead.server.blobs import service
from fairlead.server.blobs.collecting import forget_stale_uploads
from fairlead.server.context import Context
from fairlead.server.opening import open_context
from fairlead.server.settings import Settings
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.blobs import UploadRow
from fairlead.stores import FolderStore

HOUR = timedelta(hours=1)


def begin(parts: Context, digest: str) -> str:
    with parts.database.writing() as session:
        workspace = session.scalars(select(WorkspaceRow)).one()
        access = Access(
            principal_id="p", principal="p", kind="person", is_admin=True, token_id="t", workspace_id=workspace.id, workspace=workspace.name,
            role="owner", request_id="r", remote=None,
        )  # fmt: skip
        row = service.begin_upload(session, access, NewUpload(digest=digest, size=10))
    assert row is not None
    parts.store.append(row.id, 0, io.BytesIO(b"part"))
    return row.id


def test_only_what_nobody_goes_on_with_is_forgotten(tmp_path: Path, database_url: str) -> None:
    parts = open_context(Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache", database_url=database_url))
    try:
        assert isinstance(parts.store, FolderStore)
        stale, moving, new = (begin(parts, sign * 64) for sign in "abc")
        with parts.database.writing() as session:
            long_ago = session.scalars(select(UploadRow.created_at)).first()
            assert long_ago is not None
            session.execute(update(UploadRow).where(UploadRow.id.in_([stale, moving])).values(created_at=long_ago - 2 * HOUR))
        os.utime(parts.store.path / "uploads" / stale, (time.time() - 7200,) * 2)
        assert (forget_stale_uploads(parts, HOUR), forget_stale_uploads(parts, HOUR)) == (1, 0)
        with parts.database.reading() as session:
            assert set(session.scalars(select(UploadRow.id))) == {moving, new}
        assert {upload.id for upload in parts.store.uploads()} == {moving, new}
    finally:
        parts.database.close()

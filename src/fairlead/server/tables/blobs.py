"""Which workspace holds which bytes. The bytes are in the store, once for all workspaces; who did not upload them may not read them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.record import Record

Id = String(36)
Digest = String(64)


class WorkspaceBlobRow(Record):
    """Counted in the workspace's `used_bytes`."""

    __tablename__ = "workspace_blobs"
    __table_args__ = (Index("ix_workspace_blobs_digest", "digest"),)

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(Digest, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class UploadRow(Record):
    """On its way: what has arrived is in the store, under this id. One per content, so that whoever begins again goes on."""

    __tablename__ = "uploads"
    __table_args__ = (UniqueConstraint("workspace_id", "digest", "size"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    digest: Mapped[str] = mapped_column(Digest)
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(index=True)
    created_by: Mapped[str | None] = mapped_column(String(127))

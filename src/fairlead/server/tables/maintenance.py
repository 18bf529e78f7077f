"""What is on its way out: contents that a workspace holds no more, and whose bytes stay for a while."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.record import Record


class ReleasedBlobRow(Record):
    """A registration that had checked, at the moment of the release, that the workspace holds it: it gets its content back (`contents.give_back`)."""

    __tablename__ = "released_blobs"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    released_at: Mapped[datetime] = mapped_column(index=True)

"""Environments, their versions, and where they are used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.access import Id
from fairlead.server.tables.record import Record, among_living, bytewise

_Name = bytewise(255)


class EnvironmentRow(Record):
    """A name. `last_version` counts up for ever; whoever changes a version holds this row first."""

    __tablename__ = "environments"
    __table_args__ = (among_living("uq_environments_living_name", "workspace_id", "folded", unique=True),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(_Name)
    folded: Mapped[str] = mapped_column(_Name)
    """The name in lower case, under which it is unique and found."""
    last_version: Mapped[int] = mapped_column(default=0)
    latest_version: Mapped[int] = mapped_column(default=0)
    versions: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)


class EnvironmentVersionRow(Record):
    """Immutable but for description, tags and archived."""

    __tablename__ = "environment_versions"
    __table_args__ = (UniqueConstraint("environment_id", "version"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id"))
    name: Mapped[str] = mapped_column(_Name)
    version: Mapped[int]
    spec: Mapped[dict[str, Any]]
    python: Mapped[str] = mapped_column(String(16))
    lock: Mapped[str] = mapped_column(Text)
    lock_digest: Mapped[str] = mapped_column(String(64))
    packages: Mapped[dict[str, Any]]
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, Any]]
    archived: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)


class EnvironmentUseRow(Record):
    """A revision of a service (or whatever `kind` is) that needs a version, until `until`; written by `uses.begin` and `uses.end`."""

    __tablename__ = "environment_uses"
    __table_args__ = (
        Index("ix_environment_uses_version_id", "version_id", "until"),
        Index("ix_environment_uses_object_id", "object_id", "until"),
        Index("ix_environment_uses_environment_id", "environment_id", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id"))
    version_id: Mapped[str] = mapped_column(ForeignKey("environment_versions.id"))
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(255))
    revision: Mapped[int]
    since: Mapped[datetime]
    until: Mapped[datetime | None]

"""Datastores, and datasets with their versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.access import Id
from fairlead.server.tables.record import Record, among_living, bytewise

_Name = bytewise(255)


class DatastoreRow(Record):
    """Credentials are in the secret that it names, never here. The one that is there by itself has no row."""

    __tablename__ = "datastores"
    __table_args__ = (among_living("uq_datastores_living_name", "workspace_id", "folded", unique=True),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(_Name)
    folded: Mapped[str] = mapped_column(_Name)
    """The name in lower case, under which it is unique and found."""
    kind: Mapped[str] = mapped_column(String(16))
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(String(127))
    anonymous: Mapped[bool] = mapped_column(default=False)
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)


class DefaultDatastoreRow(Record):
    """Of a workspace that chose another than the one that is there by itself."""

    __tablename__ = "default_datastores"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    datastore_id: Mapped[str] = mapped_column(ForeignKey("datastores.id"), index=True)


class DatasetRow(Record):
    """A name. `last_version` counts up for ever; whoever changes a version holds this row first."""

    __tablename__ = "datasets"
    __table_args__ = (among_living("uq_datasets_living_name", "workspace_id", "folded", unique=True),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(_Name)
    folded: Mapped[str] = mapped_column(_Name)
    last_version: Mapped[int] = mapped_column(default=0)
    latest_version: Mapped[int] = mapped_column(default=0)
    versions: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)


class DatasetVersionRow(Record):
    """Immutable but for description and tags. A deleted one keeps its row, so that its id goes on meaning the same."""

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("dataset_id", "version"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    name: Mapped[str] = mapped_column(_Name)
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    definition: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))
    files: Mapped[int | None] = mapped_column(BigInteger)
    size: Mapped[int | None] = mapped_column(BigInteger)
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)

"""Models, their versions, what is said of them, aliases, events, and where they are used.

A version's row is its truth; `model_labels` and `model_metrics` repeat what is searched for, one row per fact, and go when the version is deleted.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Double, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.access import Id
from fairlead.server.tables.record import Record, among_living, bytewise

LONGEST_VALUE = 255
Bytewise = bytewise(255)
Value = bytewise(LONGEST_VALUE)
_ARCHIVED = text("deleted_at IS NULL AND archived_at IS NOT NULL")


class ModelRow(Record):
    """A name. `last_version` counts registrations and never goes back; `latest_version` is the highest that is neither deleted nor archived, or 0.

    Whoever changes anything of a model first changes this row (`history.number_next`), so its changes happen one after the other.
    """

    __tablename__ = "models"
    __table_args__ = (among_living("uq_models_living_name", "workspace_id", "folded", unique=True),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(Bytewise)
    folded: Mapped[str] = mapped_column(Bytewise)
    """The name in lower case, under which it is unique and found."""
    last_version: Mapped[int] = mapped_column(default=0)
    latest_version: Mapped[int] = mapped_column(default=0)
    versions: Mapped[int] = mapped_column(default=0)
    last_event: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class ModelVersionRow(Record):
    """A deleted one keeps its row, so that its id goes on meaning the same. The large columns stand last: lists do not read them."""

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("model_id", "version"),
        among_living("ix_model_versions_living", "workspace_id", "id"),
        Index("ix_model_versions_archived_at", "workspace_id", "archived_at", "id", sqlite_where=_ARCHIVED, postgresql_where=_ARCHIVED),
        among_living("ix_model_versions_framework", "workspace_id", "framework", "created_at", "id"),
        among_living("ix_model_versions_run_id", "workspace_id", "run_id", "created_at", "id"),
        among_living("ix_model_versions_created_at", "workspace_id", "created_at", "id"),
        Index("ix_model_versions_tree", "tree"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    name: Mapped[str] = mapped_column(Bytewise)
    version: Mapped[int]
    tree: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int]
    framework: Mapped[str | None] = mapped_column(Bytewise)
    framework_version: Mapped[str | None] = mapped_column(Bytewise)
    flavor: Mapped[str | None] = mapped_column(Bytewise)
    python: Mapped[str | None] = mapped_column(Bytewise)
    run_id: Mapped[str | None] = mapped_column(Bytewise)
    stage: Mapped[str] = mapped_column(Bytewise, default="registered")
    """What `history.stage_of` makes of the version's events, kept here because lists show it."""
    archived_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    etag: Mapped[int] = mapped_column(default=1)
    tags: Mapped[dict[str, Any]]
    properties: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    resources: Mapped[dict[str, Any] | None]
    description: Mapped[str] = mapped_column(Text)
    lineage: Mapped[dict[str, Any]]
    requirements: Mapped[list[Any]]
    model_schema: Mapped[dict[str, Any] | None]
    sample_input: Mapped[str | None] = mapped_column(Text)
    sample_output: Mapped[str | None] = mapped_column(Text)


class ModelLabelRow(Record):
    """A tag, a property, or a data set's name or digest. `value` is shortened as `facts.searchable` says; `number` is what it states, if it is one."""

    __tablename__ = "model_labels"
    __table_args__ = (
        Index("ix_model_labels_value", "workspace_id", "kind", "key", "value", "number", "version_id"),
        Index("ix_model_labels_number", "workspace_id", "kind", "key", "number", "value", "version_id"),
    )

    version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    key: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    value: Mapped[str] = mapped_column(Value, primary_key=True)
    number: Mapped[float | None] = mapped_column(Double)
    workspace_id: Mapped[str] = mapped_column(Id)


class ModelMetricRow(Record):
    __tablename__ = "model_metrics"
    __table_args__ = (Index("ix_model_metrics_value", "workspace_id", "name", "value", "version_id"),)

    version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"), primary_key=True)
    name: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    value: Mapped[float] = mapped_column(Double)
    workspace_id: Mapped[str] = mapped_column(Id)


class ModelAliasRow(Record):
    """A name for one version of a model, that can be moved to another; where it was before, the events tell."""

    __tablename__ = "model_aliases"
    __table_args__ = (Index("ix_model_aliases_version_id", "version_id"),)

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    alias: Mapped[str] = mapped_column(String(63), primary_key=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"))
    version: Mapped[int]
    updated_at: Mapped[datetime]
    etag: Mapped[int] = mapped_column(default=1)
    """The number of the event that put it there, so a tag never comes back."""


class ModelEventRow(Record):
    """Only ever added. `number` counts from 1 within a model, in the order in which things happened."""

    __tablename__ = "model_events"
    __table_args__ = (Index("ix_model_events_version_id", "version_id", "number"), Index("ix_model_events_alias", "model_id", "alias", "number"))

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    at: Mapped[datetime]
    principal: Mapped[str | None] = mapped_column(String(127))
    event: Mapped[str] = mapped_column(String(64))
    version_id: Mapped[str | None] = mapped_column(ForeignKey("model_versions.id"))
    version: Mapped[int | None]
    alias: Mapped[str | None] = mapped_column(String(63))
    details: Mapped[dict[str, Any]]


class ModelUseRow(Record):
    """A revision of a service (or whatever `kind` is) that needs a version, until `until`; written by `uses.begin` and `uses.end`."""

    __tablename__ = "model_uses"
    __table_args__ = (
        Index("ix_model_uses_version_id", "version_id", "until"),
        Index("ix_model_uses_object_id", "object_id", "until"),
        Index("ix_model_uses_model_id", "model_id", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"))
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(255))
    revision: Mapped[int]
    since: Mapped[datetime]
    until: Mapped[datetime | None]

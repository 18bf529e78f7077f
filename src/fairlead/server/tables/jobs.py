"""Batch: services that are run, jobs, their drivers, and the records of what happened (E8)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.leases import Leased
from fairlead.server.tables.record import Record, among_living

Id = String(36)
Digest = String(64)


class BatchServiceRow(Record):
    """`definition`: as it was asked for. `recipe`: with models resolved to versions, so that it says the same for ever."""

    __tablename__ = "batch_services"
    __table_args__ = (among_living("uq_batch_services_living_name", "workspace_id", "name", unique=True),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(String(127))
    kind: Mapped[str] = mapped_column(String(8))
    version: Mapped[int]
    definition: Mapped[dict[str, Any]]
    recipe: Mapped[dict[str, Any]]
    models: Mapped[list[Any]]
    tags: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)


class JobRow(Leased, Record):
    """What was asked for, what is made of it, and how far it is. The lease is of preparing; `JobRunRow` is of what follows.

    request: as it was asked for. wish: with everything that can change resolved, so that a rerun says the same for ever. scope: id of its batch
    service, or "": names are unique in it.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        among_living("uq_jobs_living_name", "workspace_id", "scope", "name", unique=True),
        Index("ix_jobs_workspace_id_id", "workspace_id", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    service_id: Mapped[str | None] = mapped_column(ForeignKey("batch_services.id"), index=True)
    scope: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(127))
    handle: Mapped[str] = mapped_column(String(32), unique=True)
    kind: Mapped[str] = mapped_column(String(8))
    engine: Mapped[str] = mapped_column(String(16))
    place: Mapped[str | None] = mapped_column(Id, index=True)
    """Which server's machine it is prepared on and runs on; only that server acts on it."""
    state: Mapped[str] = mapped_column(String(16), index=True)
    stage: Mapped[str | None] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(default="")
    models: Mapped[list[Any]]
    recipe: Mapped[dict[str, Any]]
    request: Mapped[dict[str, Any]]
    wish: Mapped[dict[str, Any]]
    parameters: Mapped[dict[str, Any]]
    output_url: Mapped[str | None]
    progress: Mapped[dict[str, Any] | None]
    failure: Mapped[dict[str, Any] | None]
    rerun_of: Mapped[str | None] = mapped_column(Id)
    experiment: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, Any]]
    git_commit: Mapped[str | None]
    git_dirty: Mapped[bool | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancel_asked_at: Mapped[datetime | None]
    cancel_asked_by: Mapped[str | None] = mapped_column(String(127))
    deleted_at: Mapped[datetime | None]
    cleared_at: Mapped[datetime | None]
    """It needs no content and no folder any more: long over, or deleted."""
    etag: Mapped[int] = mapped_column(default=1)
    serial: Mapped[int] = mapped_column(BigInteger, default=1)
    bundle_digest: Mapped[str | None] = mapped_column(Digest)
    bundle_tree: Mapped[str | None] = mapped_column(Digest)
    lock_digest: Mapped[str | None] = mapped_column(Digest)
    """Of the environment that a service of the same would have."""
    lock_blob: Mapped[str | None] = mapped_column(Digest)
    lock_python: Mapped[str | None] = mapped_column(String(16))
    variables: Mapped[dict[str, Any] | None]
    batch_lock_digest: Mapped[str | None] = mapped_column(Digest)
    """Of that and what batch needs: the environment that the driver runs in."""
    batch_lock_blob: Mapped[str | None] = mapped_column(Digest)


class JobRunRow(Leased, Record):
    """The driver's life. `id`: the job's. `tries`: drivers that were killed one after the other without getting any further."""

    __tablename__ = "job_runs"

    id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    restarts: Mapped[int] = mapped_column(default=0)
    shards_done: Mapped[int] = mapped_column(BigInteger, default=0)
    """When the driver was started last: whether it gets any further."""
    events_read: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bytes of the driver's events that are in the records."""


class JobModelRow(Record):
    """The model versions of a job, in the order they were given."""

    __tablename__ = "job_models"
    __table_args__ = (Index("ix_job_models_name_version", "name", "version"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    model_version_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(255))
    version: Mapped[int]


class JobEventRow(Record):
    """Only ever added. event, state: as the seeds' job records say them (E8). `number`: the job's serial when it happened."""

    __tablename__ = "job_events"
    __table_args__ = (UniqueConstraint("job_id", "number"), Index("ix_job_events_workspace_id_id", "workspace_id", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(Id)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    number: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    message: Mapped[str]
    node: Mapped[str | None] = mapped_column(String(255))
    cause: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]

"""Compute pools, and the jobs that have nodes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.access import Id
from fairlead.server.tables.record import Record, among_living, bytewise

_Name = bytewise(32)


class PoolRow(Record):
    """How many nodes it has now is not kept: it follows from who uses it, and when that ended."""

    __tablename__ = "compute_pools"
    __table_args__ = (among_living("uq_compute_pools_living_name", "workspace_id", "folded", unique=True),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(_Name)
    folded: Mapped[str] = mapped_column(_Name)
    """The name in lower case, under which it is unique and found."""
    kind: Mapped[str] = mapped_column(String(16))
    vm_size: Mapped[str]
    min_nodes: Mapped[int]
    max_nodes: Mapped[int]
    vm_priority: Mapped[str] = mapped_column(String(16))
    idle_seconds: Mapped[int]
    engine: Mapped[str] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    processes: Mapped[int | None]
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)


class PoolUseRow(Record):
    """A job that has `nodes` of a pool until `until`; written by `uses.begin`, `uses.arrive` and `uses.end`."""

    __tablename__ = "compute_uses"
    __table_args__ = (
        Index("ix_compute_uses_pool_id_until", "pool_id", "until"),
        Index("ix_compute_uses_pool_id_id", "pool_id", "id"),
        Index("ix_compute_uses_job_id", "job_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("compute_pools.id"))
    job_id: Mapped[str] = mapped_column(Id)
    job: Mapped[str] = mapped_column(String(255))
    nodes: Mapped[int]
    since: Mapped[datetime]
    arrived_at: Mapped[datetime | None]
    """Its nodes are there."""
    until: Mapped[datetime | None]
    interruptions: Mapped[int] = mapped_column(default=0)

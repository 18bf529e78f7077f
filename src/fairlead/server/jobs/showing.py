"""Jobs as readers see them: one, and lists of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.orm import Session, defer

from fairlead.errors import UsageError
from fairlead.schemas.jobs import Job, JobKind, JobState
from fairlead.schemas.wire import Page
from fairlead.server.access import Access
from fairlead.server.ids import first_id_at
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.tables.jobs import BatchServiceRow, JobModelRow, JobRow, JobRunRow

AS_THEY_ARE = (
    "id", "created_at", "created_by", "name", "kind", "state", "stage", "message", "models", "bundle_digest", "engine", "request", "parameters", "output_url",
    "progress", "failure", "cancel_asked_at", "cancel_asked_by", "started_at", "finished_at", "updated_at", "serial", "rerun_of", "experiment", "description",
    "tags", "git_commit", "git_dirty",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Filters:
    """`model`: NAME or NAME:VERSION. `service`: a batch service's name. created: after <= t < before."""

    state: JobState | None = None
    kind: JobKind | None = None
    service: str | None = None
    model: str | None = None
    experiment: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def list_jobs(session: Session, access: Access, filters: Filters, paging: Paging, *, scope: str | None = None) -> Page[Job]:
    """The newest first."""
    chosen = _whole().where(JobRow.workspace_id == access.workspace_id, JobRow.deleted_at.is_(None), *_conditions(filters))
    if scope is not None:
        chosen = chosen.where(JobRow.scope == scope)
    keys = [JobRow.id]
    rows = page_rows(session, chosen, keys, paging, newest_first=True)
    return Page(items=[_wire(*row) for row in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def to_wire(session: Session, row: JobRow) -> Job:
    """As it is in this transaction."""
    session.flush()
    return _wire(*session.execute(_whole().where(JobRow.id == row.id)).one())


def _wire(row: JobRow, restarts: int, service: str | None) -> Job:
    derived = {
        "service": service,
        "environment": (row.recipe.get("environment") or {}).get("name"),
        "environment_lock": row.lock_digest,
        "batch_lock": row.batch_lock_digest,
        "restarts": restarts,
    }
    return Job.model_validate({name: getattr(row, name) for name in AS_THEY_ARE} | derived)


def _whole() -> Select[Any, Any, Any]:
    joined = select(JobRow, JobRunRow.restarts, BatchServiceRow.name).join(JobRunRow, JobRunRow.id == JobRow.id)
    return joined.outerjoin(BatchServiceRow, BatchServiceRow.id == JobRow.service_id).options(defer(JobRow.wish))


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.state is not None:
        found.append(JobRow.state == filters.state.value)
    if filters.kind is not None:
        found.append(JobRow.kind == filters.kind)
    if filters.service is not None:
        found.append(BatchServiceRow.name == filters.service)
    if filters.model is not None:
        found.append(_has_model(filters.model))
    if filters.experiment is not None:
        found.append(JobRow.experiment == filters.experiment)
    if filters.created_after is not None:
        found.append(JobRow.id >= first_id_at(filters.created_after))
    if filters.created_before is not None:
        found.append(JobRow.id < first_id_at(filters.created_before))
    return found


def _has_model(said: str) -> ColumnElement[bool]:
    name, _, version = said.partition(":")
    if version and not (version.isascii() and version.isdigit() and len(version) < 10):
        raise UsageError(f"model={said[:100]!r}: write NAME or NAME:VERSION, such as churn:3.")
    which = [JobModelRow.job_id == JobRow.id, JobModelRow.name == name]
    return exists().where(*which, JobModelRow.version == int(version)) if version else exists().where(*which)

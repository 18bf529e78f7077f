"""Rules and queries of pools; `engine_of` is what a job is told of one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, InUse, NotFound, UsageError
from fairlead.schemas.compute import NewPool, Pool, PoolChange
from fairlead.schemas.wire import Page
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts.workspaces import keep_workspace
from fairlead.server.clock import now
from fairlead.server.compute import uses
from fairlead.server.conditional import check_tag
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.tables.compute import PoolRow


def engine_of(session: Session, workspace_id: str, name: str, *, nodes: int | None = None, processes: int | None = None) -> dict[str, Any]:
    """The fields of `fairlead_scoring.batch.job.Engine`. `nodes`: as many as were asked for; None: all that the pool may have. Raises NotFound, UsageError."""
    row = pool_named(session, workspace_id, name)
    if nodes is not None and nodes > row.max_nodes:
        raise UsageError(f"The pool {row.name!r} has {row.max_nodes} nodes at most, and {nodes} were asked for; ask for fewer, or raise its max_nodes.")
    wanted = nodes if nodes is not None else row.max_nodes
    return {"name": row.engine, "nodes": wanted, "processes": processes or row.processes, "options": dict(row.options)}


def pool_named(session: Session, workspace_id: str, name: str, *, lock: bool = False) -> PoolRow:
    """Raises NotFound."""
    chosen = select(PoolRow).where(_is_named(workspace_id, name))
    row = session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None:
        raise NotFound(f"There is no compute pool {name[:100]!r} in this workspace; `fairlead compute list` shows those there are.")
    return row


def list_pools(session: Session, workspace_id: str, paging: Paging) -> Page[Pool]:
    """By name."""
    keys = [PoolRow.folded]
    rows = page_rows(session, select(PoolRow).where(PoolRow.workspace_id == workspace_id, PoolRow.deleted_at.is_(None)), keys, paging)
    shown = [row for (row,) in rows[: paging.limit]]
    busy = uses.of_pools(session, [row.id for row in shown])
    return Page(items=[to_wire(row, busy[row.id]) for row in shown], next=cursor_after(rows, keys, paging))


def show(session: Session, row: PoolRow) -> Pool:
    return to_wire(row, uses.of_pools(session, [row.id])[row.id])


def create(session: Session, access: Access, body: NewPool) -> Pool:
    """Raises Conflict when one of that name is there."""
    keep_workspace(session, access)
    found = session.scalar(select(PoolRow.name).where(_is_named(access.workspace_id, body.name)))
    if found is not None:
        raise Conflict(f"There is a compute pool {found!r} already; choose another name, or change it with `fairlead compute update`.")
    _refuse_secrets(body.options)
    at = now()
    row = PoolRow(id=new_id(), workspace_id=access.workspace_id, folded=body.name.lower(), created_at=at, updated_at=at, created_by=access.principal, etag=1)
    for name, value in body.model_dump().items():
        setattr(row, name, value)
    session.add(row)
    audit.record(session, access, "create", "compute", row.id, row.name, max_nodes=row.max_nodes, vm_priority=row.vm_priority)
    session.flush()
    return show(session, row)


def change(session: Session, access: Access, row: PoolRow, body: PoolChange, if_match: str | None) -> Pool:
    check_tag(if_match, row, f"The compute pool {row.name!r}")
    said = body.model_dump(exclude_unset=True)
    for name in ("min_nodes", "max_nodes", "idle_seconds", "options", "description"):
        if said.get(name) is not None:
            setattr(row, name, said[name])
    if "processes" in said:
        row.processes = said["processes"]
    if body.tags is not None:
        row.tags = {name: value for name, value in {**row.tags, **body.tags}.items() if value is not None}
    if row.min_nodes > row.max_nodes:
        raise UsageError(f"min_nodes would be {row.min_nodes} and max_nodes {row.max_nodes}; the least cannot be more than the most.")
    _refuse_secrets(row.options)
    row.updated_at, row.etag = now(), row.etag + 1
    audit.record(session, access, "change", "compute", row.id, row.name, fields=sorted(said))
    session.flush()
    return show(session, row)


def delete(session: Session, access: Access, row: PoolRow, if_match: str | None) -> None:
    """Raises InUse while a job has nodes of it."""
    check_tag(if_match, row, f"The compute pool {row.name!r}")
    jobs = uses.running(session, row.id)
    if jobs:
        raise InUse(f"The compute pool {row.name!r} is used by {', '.join(jobs[:3])}; wait, or cancel {'it' if len(jobs) == 1 else 'them'}.", used_by=jobs[:50])
    row.deleted_at = row.updated_at = now()
    row.etag += 1
    audit.record(session, access, "delete", "compute", row.id, row.name)


def to_wire(row: PoolRow, busy: uses.Busy) -> Pool:
    kept = ("id", "created_at", "created_by", "name", "kind", "vm_size", "min_nodes", "max_nodes", "vm_priority", "idle_seconds", "engine")
    more = ("options", "processes", "description", "tags", "updated_at")
    said = {name: getattr(row, name) for name in (*kept, *more)}
    return Pool(**said, allocation=uses.allocation(row, busy, now()), interruptions=busy.interruptions)


def _refuse_secrets(options: dict[str, Any]) -> None:
    strange = sorted(name for name in options if any(word in name.lower() for word in ("password", "secret", "token", "credential")))
    if strange:
        raise UsageError(f"options.{strange[0]} looks like a secret, and options are shown; keep it with `fairlead secret set`.")


def _is_named(workspace_id: str, name: str) -> ColumnElement[bool]:
    return and_(PoolRow.workspace_id == workspace_id, PoolRow.folded == name.lower(), PoolRow.deleted_at.is_(None))

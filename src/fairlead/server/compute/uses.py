"""Which jobs have nodes of a pool, and how many nodes that makes: a pool grows when a job begins, and falls to its least when it has been idle long enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, case, func, select, update
from sqlalchemy.orm import Session

from fairlead.schemas.compute import Allocation, PoolUse
from fairlead.schemas.wire import Page
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, page
from fairlead.server.tables.compute import PoolRow, PoolUseRow


@dataclass(frozen=True)
class Busy:
    """wanted: nodes of jobs that run; arrived: those of them that are there; ended_at, had: of the last job, what it left behind."""

    jobs: int = 0
    wanted: int = 0
    arrived: int = 0
    ended_at: datetime | None = None
    had: int = 0
    interruptions: int = 0


def begin(session: Session, pool: PoolRow, job_id: str, job: str, nodes: int) -> None:
    """The job wants nodes, from now on; saying it again changes nothing."""
    if session.scalar(select(PoolUseRow.id).where(PoolUseRow.job_id == job_id, PoolUseRow.until.is_(None))) is None:
        session.add(PoolUseRow(id=new_id(), pool_id=pool.id, job_id=job_id, job=job, nodes=nodes, since=now(), interruptions=0))
        session.flush()


def has_room(session: Session, pool: PoolRow, nodes: int) -> bool:
    """Whether that many are left; the first job always finds room. The pool's row is locked."""
    taken = session.scalar(select(func.coalesce(func.sum(PoolUseRow.nodes), 0)).where(PoolUseRow.pool_id == pool.id, PoolUseRow.until.is_(None))) or 0
    return int(taken) == 0 or int(taken) + nodes <= pool.max_nodes


def arrive(session: Session, job_id: str) -> None:
    """Its driver runs: the nodes are there."""
    running = (PoolUseRow.job_id == job_id, PoolUseRow.until.is_(None), PoolUseRow.arrived_at.is_(None))
    session.execute(update(PoolUseRow).where(*running).values(arrived_at=now()))


def note_interruptions(session: Session, job_id: str, count: int) -> None:
    """How many nodes the job has lost so far; never counts down."""
    session.execute(
        update(PoolUseRow).where(PoolUseRow.job_id == job_id, PoolUseRow.until.is_(None), PoolUseRow.interruptions < count).values(interruptions=count)
    )


def end(session: Session, job_id: str) -> None:
    """However it ended; saying it again changes nothing."""
    session.execute(update(PoolUseRow).where(PoolUseRow.job_id == job_id, PoolUseRow.until.is_(None)).values(until=now()))


def allocation(pool: PoolRow, busy: Busy, at: datetime) -> Allocation:
    """What a cluster of this description would have at that moment."""
    left = _left_behind(pool, busy, at)
    target = min(pool.max_nodes, max(pool.min_nodes, busy.wanted, left))
    current = min(target, max(pool.min_nodes, busy.arrived, left))
    until = busy.ended_at + timedelta(seconds=pool.idle_seconds) if busy.ended_at and left > max(pool.min_nodes, busy.wanted) else None
    return Allocation(
        state="Steady" if current == target else "Resizing",
        current_nodes=current,
        target_nodes=target,
        busy_nodes=min(busy.arrived, current),
        jobs=busy.jobs,
        idle_until=until,
    )


def of_pools(session: Session, pool_ids: Sequence[str]) -> dict[str, Busy]:
    """Of each, with one statement for the sums and one for what ended last."""
    open_ = PoolUseRow.until.is_(None)
    there = open_ & PoolUseRow.arrived_at.is_not(None)
    sums = select(
        PoolUseRow.pool_id,
        func.coalesce(func.sum(case((open_, 1), else_=0)), 0),
        func.coalesce(func.sum(case((open_, PoolUseRow.nodes), else_=0)), 0),
        func.coalesce(func.sum(case((there, PoolUseRow.nodes), else_=0)), 0),
        func.coalesce(func.sum(PoolUseRow.interruptions), 0),
    )
    counted = {row[0]: row[1:] for row in session.execute(sums.where(PoolUseRow.pool_id.in_(pool_ids)).group_by(PoolUseRow.pool_id)).all()}
    last = {row.pool_id: row for row in session.scalars(_last_ended(pool_ids))}
    found = {}
    for pool_id in pool_ids:
        jobs, wanted, arrived, interruptions = counted.get(pool_id, (0, 0, 0, 0))
        ended = last.get(pool_id)
        found[pool_id] = Busy(int(jobs), int(wanted), int(arrived), ended.until if ended else None, ended.nodes if ended else 0, int(interruptions))
    return found


def running(session: Session, pool_id: str) -> list[str]:
    return list(session.scalars(select(PoolUseRow.job).where(PoolUseRow.pool_id == pool_id, PoolUseRow.until.is_(None)).order_by(PoolUseRow.since)))


def list_uses(session: Session, pool_id: str, paging: Paging) -> Page[PoolUse]:
    """Newest first."""
    return page(session, select(PoolUseRow).where(PoolUseRow.pool_id == pool_id), [PoolUseRow.id], paging, _to_wire, newest_first=True)


def _last_ended(pool_ids: Sequence[str]) -> Select[PoolUseRow]:
    latest = select(PoolUseRow.pool_id, func.max(PoolUseRow.until).label("until")).where(PoolUseRow.pool_id.in_(pool_ids), PoolUseRow.arrived_at.is_not(None))
    newest = latest.group_by(PoolUseRow.pool_id).subquery()
    return select(PoolUseRow).join(newest, (newest.c.pool_id == PoolUseRow.pool_id) & (newest.c.until == PoolUseRow.until))


def _left_behind(pool: PoolRow, busy: Busy, at: datetime) -> int:
    """Nodes that the last job had, until they have been idle for long enough."""
    if busy.ended_at is None or at - busy.ended_at >= timedelta(seconds=pool.idle_seconds):
        return 0
    return busy.had


def _to_wire(row: PoolUseRow) -> PoolUse:
    return PoolUse(job=row.job, nodes=row.nodes, since=row.since, until=row.until, interruptions=row.interruptions)

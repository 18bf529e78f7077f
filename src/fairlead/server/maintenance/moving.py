"""Services and jobs after a restore: what their targets and drivers know is of another time, and perhaps of another machine."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fairlead.server.clock import now
from fairlead.server.tables.jobs import JobRow, JobRunRow
from fairlead.server.tables.services import RevisionRow, ServiceRow

AHEAD = 1_000_000  # of any generation that a target was told between the backup and its restore: it ignores older ones

_PLAIN = {"synchronize_session": False}


def tell_anew(session: Session, node: str | None) -> None:
    """Every service is told to its target again, and no lease of then counts. `node`: the server that all of them are to run on from now on."""
    free = {"lease_owner": None, "lease_until": None, "due_at": now()}
    session.execute(update(RevisionRow).where(RevisionRow.lease_owner.is_not(None)).values(free))
    living = ServiceRow.deleted_at.is_(None)
    session.execute(update(ServiceRow).where(living).values(free | {"applied_generation": 0, "generation": ServiceRow.generation + AHEAD}))
    unfinished = JobRow.finished_at.is_(None)
    session.execute(update(JobRow).where(unfinished).values(free))
    session.execute(update(JobRunRow).where(JobRunRow.id.in_(select(JobRow.id).where(unfinished))).values(free), execution_options=_PLAIN)
    if node is not None:
        session.execute(update(ServiceRow).where(living, ServiceRow.place.is_not(None)).values(place=node))
        session.execute(update(JobRow).where(unfinished, JobRow.place.is_not(None)).values(place=node))

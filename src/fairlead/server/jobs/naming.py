"""Jobs by name and by id."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, NotFound
from fairlead.server.access import Access
from fairlead.server.tables.jobs import JobRow

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def find(session: Session, access: Access, said: str, *, lock: bool = False, scope: str | None = None) -> JobRow:
    """The living job of this id, or name. `scope`: of one batch service alone. Raises NotFound, Conflict for a name that several services have."""
    which = JobRow.id == said if _ID.fullmatch(said) else JobRow.name == said
    chosen = select(JobRow).where(JobRow.workspace_id == access.workspace_id, which, JobRow.deleted_at.is_(None)).order_by(JobRow.id)
    if scope is not None:
        chosen = chosen.where(JobRow.scope == scope)
    found = list(session.scalars(chosen.with_for_update() if lock else chosen))
    own = [row for row in found if row.scope == ""] or found
    if not own:
        raise NotFound(f"There is no job {said[:130]!r} in the workspace {access.workspace!r}; `fairlead job list` shows those there are.")
    if len(own) > 1:
        raise Conflict(f"Several batch services have a job {said!r}; give its id, one of {', '.join(row.id for row in own[:5])}.")
    return own[0]


def named(session: Session, workspace_id: str, scope: str, name: str) -> JobRow | None:
    living = (JobRow.workspace_id == workspace_id, JobRow.scope == scope, JobRow.name == name, JobRow.deleted_at.is_(None))
    return session.scalars(select(JobRow).where(*living).with_for_update()).one_or_none()


def name_at(session: Session, workspace_id: str, scope: str, at: datetime) -> str:
    """The time, as the seeds have it; a second job of the same second gets a number."""
    wanted = f"{at:%Y-%m-%d_%H%M%S}"
    taken = select(JobRow.name).where(JobRow.workspace_id == workspace_id, JobRow.scope == scope, JobRow.deleted_at.is_(None))
    names = set(session.scalars(taken.where(JobRow.name.startswith(wanted, autoescape=True))))
    if wanted not in names:
        return wanted
    return next(made for number in range(2, len(names) + 3) if (made := f"{wanted}-{number}") not in names)


def handle_of(job_id: str) -> str:
    """The name of its folder: from the random end of the id, not from its clock."""
    return f"job-{job_id[-12:]}"

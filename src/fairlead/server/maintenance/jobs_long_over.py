"""Clears up after jobs that have been over for long: logs, inputs and bundles go, records stay, and so do answers that the server keeps."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import or_, select

from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.jobs.place import Place
from fairlead.server.node import ID_FILE
from fairlead.server.settings import Settings
from fairlead.server.tables.jobs import JobRow


def clear(settings: Settings, database: Database, older_than: timedelta, *, dry_run: bool) -> int:
    """How many; only those of this machine."""
    path = settings.state_dir / ID_FILE
    here = path.read_text(encoding="ascii").strip() if path.exists() else ""
    long_over = (JobRow.finished_at < now() - older_than, JobRow.cleared_at.is_(None), or_(JobRow.place == here, JobRow.place.is_(None)))
    with database.reading() as session:
        found = session.execute(select(JobRow.id, JobRow.handle).where(*long_over)).all()
    for job_id, handle in [] if dry_run else found:
        Place(settings.state_dir, handle).clear()
        with database.writing() as session:
            session.get_one(JobRow, job_id, with_for_update=True).cleared_at = now()
    return len(found)

"""Do jobs, batch services and their folders agree with each other?"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select, update

from fairlead.schemas.jobs import JobState
from fairlead.server.clock import now
from fairlead.server.jobs.place import Place
from fairlead.server.jobs.usage import BATCH_SERVICE, JOB
from fairlead.server.maintenance.findings import Finding, Ground
from fairlead.server.maintenance.row_checks import REPAIR, REPORT
from fairlead.server.node import ID_FILE
from fairlead.server.tables.compute import PoolUseRow
from fairlead.server.tables.environments import EnvironmentUseRow
from fairlead.server.tables.jobs import BatchServiceRow, JobRow, JobRunRow
from fairlead.server.tables.registry import ModelUseRow

ON_THEIR_WAY = tuple(state.value for state in JobState if not state.is_over)


def job_uses(ground: Ground) -> Iterator[Finding]:
    """Only jobs that are not over, and batch services that are there, keep a version from being deleted."""
    needing = {
        JOB: select(JobRow.id).where(JobRow.state.in_(ON_THEIR_WAY)),
        BATCH_SERVICE: select(BatchServiceRow.id).where(BatchServiceRow.deleted_at.is_(None)),
    }
    for table in (ModelUseRow, EnvironmentUseRow):
        for kind, living in needing.items():
            asked = select(table.id, table.name).where(table.until.is_(None), table.kind == kind, table.object_id.not_in(living))
            for use, name in ground.connection.execute(asked).all():
                ground.checked += 1
                if ground.repair:
                    ground.connection.execute(update(table).where(table.id == use).values(until=now()))
                message = f"The {kind.replace('-', ' ')} {name!r} needs nothing any more, and {table.__tablename__} {use} says it is in use."
                yield Finding(what="use-of-nothing", message=message, cure=REPAIR, repaired=ground.repair)


def pool_uses(ground: Ground) -> Iterator[Finding]:
    """Only jobs that are not over have nodes of a pool; else the pool stays large, and cannot be deleted."""
    living = select(JobRow.id).where(JobRow.state.in_(ON_THEIR_WAY))
    for use, job in ground.connection.execute(select(PoolUseRow.id, PoolUseRow.job).where(PoolUseRow.until.is_(None), PoolUseRow.job_id.not_in(living))).all():
        ground.checked += 1
        if ground.repair:
            ground.connection.execute(update(PoolUseRow).where(PoolUseRow.id == use).values(until=now()))
        yield Finding(what="use-of-nothing", message=f"The job {job!r} is over, and still has nodes of a pool.", cure=REPAIR, repaired=ground.repair)


def job_rows(ground: Ground) -> Iterator[Finding]:
    """Each has its run, and is over or on its way, not both."""
    lonely = set(ground.connection.scalars(select(JobRow.id).where(JobRow.id.not_in(select(JobRunRow.id)))))
    for job_id, name, state, stage, finished_at in ground.connection.execute(
        select(JobRow.id, JobRow.name, JobRow.state, JobRow.stage, JobRow.finished_at)
    ).all():
        ground.checked += 1
        is_over = state not in ON_THEIR_WAY
        if job_id in lonely or is_over != (finished_at is not None) or is_over != (stage is None):
            yield Finding(what="job-torn", message=f"The job {name!r} is {state} at the stage {stage}, finished {finished_at}.", cure=REPORT)


def drivers(ground: Ground) -> Iterator[Finding]:
    """What drives on this machine is a job that somebody wants here."""
    path = ground.settings.state_dir / ID_FILE
    folder = ground.settings.state_dir / "jobs"
    if not path.exists() or not folder.is_dir():
        return
    here = path.read_text(encoding="ascii").strip()
    running = [place for each in sorted(folder.glob("job-*")) if (place := Place(ground.settings.state_dir, each.name)).is_running]
    with ground.database.engine.connect() as fresh:  # asked after the folders, where nothing starts that is not committed
        wanted = set(fresh.scalars(select(JobRow.handle).where(JobRow.place == here, JobRow.state.in_(ON_THEIR_WAY))))
    for place in running:
        ground.checked += 1
        if place.folder.name not in wanted:
            if ground.repair:
                place.ask_end()
            message = f"A driver runs in {place.folder.name}, and no job wants it here."
            yield Finding(what="driver-unwanted", message=message, cure="Run `fairlead server fsck --repair`, which ends it.", repaired=ground.repair)

"""A job's end, however it came: written once, and those that wait for its place are told."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fairlead.schemas.jobs import JobFailure, JobStage, JobState
from fairlead.server.clock import now
from fairlead.server.compute import uses
from fairlead.server.jobs import events, usage
from fairlead.server.tables.jobs import JobRow, JobRunRow

EVENTS = {JobState.SUCCEEDED: "JobSucceeded", JobState.FAILED: "JobFailed", JobState.CANCELLED: "JobCanceled"}
LONGEST_MESSAGE = 4000
MOST_WOKEN = 20
LAST_LINES = 50  # of a log, in a failure


def end(session: Session, job: JobRow, state: JobState, message: str = "", failure: JobFailure | None = None) -> None:
    """`job` is locked, and not over."""
    kept = failure and failure.model_copy(update={"message": failure.message[:LONGEST_MESSAGE], "log_lines": failure.log_lines[-LAST_LINES:]})
    job.state, job.message = state.value, (kept.message if kept else message)[:LONGEST_MESSAGE]
    job.failure = None if kept is None else kept.model_dump(mode="json")
    job.finished_at, job.stage, job.due_at = now(), None, None
    job.etag += 1
    usage.end(session, None, job.id)
    uses.end(session, job.id)
    details = {} if kept is None else {"stage": kept.stage, "log_lines": kept.log_lines}
    events.note(session, job, EVENTS[state], job.message, cause=kept.cause if kept else None, details=details)
    wake_waiting(session, job.place)


def wake_waiting(session: Session, place: str | None) -> None:
    """Those who wait for a driver to end look whether it is their turn. One that somebody works on at this moment looks by itself."""
    waiting = select(JobRunRow.id).join(JobRow, JobRow.id == JobRunRow.id).where(JobRow.place == place, JobRow.stage == JobStage.QUEUED.value)
    ids = list(session.scalars(waiting.order_by(JobRunRow.id).limit(MOST_WOKEN).with_for_update(of=JobRunRow, skip_locked=True)))
    session.execute(update(JobRunRow).where(JobRunRow.id.in_(ids)).values(due_at=now()), execution_options={"synchronize_session": False})

"""What a driver says of itself, as the records have it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from fairlead.schemas.jobs import Count, JobFailure, JobProgress, JobStage, JobState
from fairlead.server.compute import uses
from fairlead.server.jobs import events
from fairlead.server.tables.jobs import JobRow

STATES = {"succeeded": JobState.SUCCEEDED, "failed": JobState.FAILED, "canceled": JobState.CANCELLED}
STAGES = {"planning": JobStage.RUNNING, "running": JobStage.RUNNING, "publishing": JobStage.PUBLISHING}
OURS = frozenset(("JobSubmitted", "JobRunning", "JobSucceeded", "JobFailed", "JobCanceled", "JobPublishing"))  # a driver's own words for what this server notes


def progress_of(said: Mapping[str, Any]) -> JobProgress:
    """Whatever of it makes sense: a driver of another release may say other things."""
    made: dict[str, Any] = {}
    for name in JobProgress.model_fields:
        kind: Any = Count if name in ("shards", "rows") else None
        with suppress(ValidationError):
            value = kind.model_validate(said.get(name) or {}) if kind else said.get(name)
            made[name] = getattr(JobProgress.model_validate({name: value}), name)
    return JobProgress(**made)


def shards_done(said: Mapping[str, Any]) -> int:
    return progress_of(said).shards.done


def says_something_new(job: JobRow, said: Mapping[str, Any]) -> bool:
    return bool(said) and progress_of(said).model_dump(mode="json") != job.progress


def note_progress(session: Session, job: JobRow, said: Mapping[str, Any]) -> None:
    if not says_something_new(job, said):
        return
    job.progress = progress_of(said).model_dump(mode="json")
    uses.note_interruptions(session, job.id, int(job.progress["interruptions"]))
    stage = STAGES.get(str(said.get("state")))
    if stage is not None and stage != job.stage and job.stage == JobStage.RUNNING:
        job.stage = stage.value
        events.note(session, job, "JobPublishing", "Every shard is scored; the answers are put in place.")
    events.touch(job)


def note_event(session: Session, job: JobRow, said: Mapping[str, Any]) -> None:
    """A line of the driver's events: at, event, message, node, cause, and whatever else."""
    event = events.type_of(str(said.get("event") or "Event"))
    if event in OURS:
        return
    more = {name: None if said.get(name) is None else str(said[name])[:most] for name, most in (("node", 255), ("cause", 64))}
    rest = {name: value for name, value in said.items() if name not in ("at", "event", "message", "node", "cause")}
    events.note(session, job, event, str(said.get("message") or ""), at=_moment(said.get("at")), details=rest, **more)


def outcome_of(said: Mapping[str, Any], job: JobRow) -> tuple[JobState, str, JobFailure | None]:
    state = STATES[str(said["state"])]
    if state is JobState.FAILED:
        return state, "", _failure(said.get("failure"))
    if state is JobState.CANCELLED:
        return state, f"Cancelled by {job.cancel_asked_by}; whole shards that were written stay." if job.cancel_asked_by else "Cancelled.", None
    return state, str(said.get("message") or ""), None


def node_name() -> str:
    return platform.node()[:255]


def _failure(said: Any) -> JobFailure:
    told = said if isinstance(said, Mapping) else {}
    lines = told.get("log_lines")
    return JobFailure(
        stage=str(told.get("stage") or "running"),
        cause=str(told.get("cause") or "driver-failed")[:64],
        message=str(told.get("message") or "The driver says no reason; its log is logs/sys/driver.txt."),
        log_lines=[str(line) for line in lines] if isinstance(lines, list) else [],
    )


def _moment(said: Any) -> datetime | None:
    """ISO 8601, or seconds since 1970."""
    try:
        at = datetime.fromtimestamp(said, UTC) if isinstance(said, int | float) else datetime.fromisoformat(str(said))
    except (ValueError, OSError, OverflowError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)

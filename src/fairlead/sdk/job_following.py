"""Watching a job until it is over: stages, how far it is, and why it failed if it did."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.client import jobs
from fairlead.client.transport import Transport
from fairlead.errors import BootFailure, FairleadError, Unavailable
from fairlead.schemas.jobs import Job, JobStage, JobState

STAGES: dict[str, str] = {
    JobStage.PACKAGING: "packaging",
    JobStage.ENVIRONMENT: "building environment",
    JobStage.QUEUED: "queued",
    JobStage.STARTING: "starting",
    JobStage.RUNNING: "scoring",
    JobStage.PUBLISHING: "publishing",
}
_BEFORE_ROWS = ("packaging", "environment", "queued", "starting")
_CANNOT_BE = (
    "bundle-damaged",
    "bundle-refused",
    "init-raised",
    "input-unfit",
    "inputs-unusable",
    "interpreter-missing",
    "package-missing",
    "script-error",
)


def follow(transport: Transport, name: str, *, timeout: float | None = None) -> Iterator[Job]:
    """The job each time that something of it changed, the last time when it is over. Raises Unavailable when time is up; the job goes on then."""
    job: Job | None = None
    for job in jobs.changes(transport, name, timeout=timeout):
        yield job
    if job is None or not job.is_settled:
        shown = job.name if job is not None else name
        raise Unavailable(f"The job {shown} goes on after {timeout or 0:g} s. Look again with `fairlead job show {shown} --wait`.")


def fault_of(job: Job) -> FairleadError | None:
    """Why it did not succeed, as an error with the exit code of ADR 1; None when it did. Facts: stage, cause, log_lines."""
    if job.state is JobState.CANCELLED:
        return FairleadError(f"The job {job.name} was cancelled; what it had published stays. `fairlead job rerun {job.name}` begins again.")
    if job.state is not JobState.FAILED:
        return None
    failure = job.failure
    if failure is None:
        return FairleadError(f"The job {job.name} failed: {job.message or 'no reason was recorded.'}")
    message = failure.message if failure.message.endswith((".", "!", "?")) else f"{failure.message}."
    kind = BootFailure if failure.stage in _BEFORE_ROWS or failure.cause in _CANNOT_BE else FairleadError
    said = f"The job {job.name} failed while {STAGES.get(failure.stage, failure.stage)}: {message}"
    return kind(said, job=job.name, stage=failure.stage, cause=failure.cause, log_lines=list(failure.log_lines))

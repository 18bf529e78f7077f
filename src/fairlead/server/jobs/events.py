"""What happened to a job, as the seeds' job records say it (E8); every note also tells those who wait for a change."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.orm import Session

from fairlead.schemas.jobs import JobState
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.tables.jobs import JobEventRow, JobRow

EXECUTION = {
    JobState.NOT_STARTED: "Queued",
    JobState.IN_PROGRESS: "Running",
    JobState.SUCCEEDED: "Succeeded",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Canceled",
}
LONGEST_MESSAGE = 4000


def note(session: Session, job: JobRow, event: str, message: str = "", **more: Any) -> None:
    """`job` is locked, or new, in this transaction. more: node, cause, details, at."""
    touch(job)
    said = {"at": now(), "node": None, "cause": None, "details": {}} | {name: value for name, value in more.items() if value is not None}
    session.add(
        JobEventRow(
            id=new_id(),
            workspace_id=job.workspace_id,
            job_id=job.id,
            number=job.serial,
            event=event[:64],
            state=EXECUTION[JobState(job.state)],
            message=message[:LONGEST_MESSAGE],
            **said,
        )
    )


def touch(job: JobRow) -> None:
    job.serial += 1
    job.updated_at = now()


def type_of(word: str) -> str:
    """`node-preempted` and `node_preempted` are NodePreempted; what begins with a capital stays."""
    if word[:1].isupper():
        return word
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", word)) or "Event"

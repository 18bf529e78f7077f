"""Keeping jobs going: their drivers are started, watched, started again when they were killed, and asked to end.

A driver and this server outlive each other: what a driver does lies in its folder, so one that was started by a server of yesterday is watched as any
other. A step is short; between steps the lease is held.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from fairlead.errors import FairleadError, StoreFull, Unavailable
from fairlead.schemas.jobs import JobFailure, JobStage, JobState
from fairlead.server.accounts.secrets import open_secrets
from fairlead.server.clock import now
from fairlead.server.compute import uses
from fairlead.server.faults import FaultPoint
from fairlead.server.jobs import driver, engines, events, observing, orders
from fairlead.server.jobs.ending import end
from fairlead.server.jobs.place import ENDED, Place
from fairlead.server.leases import Lease, LeaseLost, Leases
from fairlead.server.means import Means
from fairlead.server.tables.jobs import JobRow, JobRunRow
from fairlead.server.work import DONE, After, Done, pause_after
from fairlead.stores import Store

ADMITTED = FaultPoint("jobs.run.admitted", "a job may start, and its folder is not there yet")
STARTED = FaultPoint("jobs.run.started", "a driver runs, and the row does not say so")
SEEN = FaultPoint("jobs.run.before-commit", "what was seen of a driver is written, and not yet committed")
REMOVED = FaultPoint("jobs.delete.removed", "a deleted job's folder is gone, and the row is due still")
LOG = logging.getLogger("fairlead.server.jobs")
WATCH = 0.5
SOON = 0.05  # while a driver is about to begin or to end
FALLBACK = 15.0  # how often one that waits looks by itself
MOST_IN_VAIN = 3  # drivers that were killed one after the other without getting any further
GIVES_UP = 60.0  # seconds after which a driver of ours that was asked to end is ended
LONGEST_PAUSE = 30.0
RUNS = (JobStage.STARTING.value, JobStage.RUNNING.value, JobStage.PUBLISHING.value)


@dataclass(frozen=True)
class Limits:
    """state: the server's folder, in which jobs have theirs. at_once: drivers on this machine."""

    state: Path
    at_once: int


class Driving:
    name = "drive"
    holds_many = True

    def __init__(self, means: Means, store: Store, *, lease_seconds: float, threads: int, limits: Limits) -> None:
        self.leases: Leases[JobRunRow] = Leases(means.database, JobRunRow, means.node, lease_seconds, self._may_take, means.news)
        self.threads = threads
        self._means = means
        self._store = store
        self._state = limits.state
        self._most = limits.at_once
        self._turns = threading.Lock()
        self._children: dict[str, driver.Child] = {}

    def step(self, lease: Lease) -> After | Done:
        with self._means.database.reading() as session:
            job = session.get_one(JobRow, lease.id)
        place = Place(self._state, job.handle)
        if job.deleted_at is not None:
            place.remove()
            REMOVED.reach()
            return DONE
        if JobState(job.state).is_over:
            self._children.pop(lease.id, None)
            place.forget_secrets()
            return DONE
        if job.stage == JobStage.QUEUED:
            return self._admit(lease, job)
        if job.stage not in RUNS:
            return DONE
        return self._start(lease, job, place) if job.stage == JobStage.STARTING else self._watch(lease, job, place)

    def _may_take(self) -> ColumnElement[bool]:
        return exists().where(JobRow.id == JobRunRow.id, JobRow.place == self._means.node)

    def _admit(self, lease: Lease, job: JobRow) -> After | Done:
        """The oldest first, as many as may run at once. One thread at a time, and this server alone decides for its machine."""
        with self._turns:
            with self._means.database.reading() as session:
                running = session.scalar(select(func.count()).select_from(JobRow).where(JobRow.place == self._means.node, JobRow.stage.in_(RUNS))) or 0
                before = (JobRow.place == self._means.node, JobRow.stage == JobStage.QUEUED.value, JobRow.id < job.id)
                ahead = session.scalar(select(func.count()).select_from(JobRow).where(*before)) or 0
            if running + ahead >= self._most:
                return After(FALLBACK)
            with self._recording(lease) as (session, found, _):
                if found.stage != JobStage.QUEUED:
                    return DONE
                if not engines.take_nodes(session, found):
                    return After(FALLBACK)
                found.stage = JobStage.STARTING.value
                events.note(session, found, "JobStarting", "Its driver is started.")
        ADMITTED.reach()
        return After(0.0)

    def _start(self, lease: Lease, job: JobRow, place: Place) -> After | Done:
        """Also a driver that a server started which died before it could say so: it holds the lock, or another one takes it and this one ends."""
        if place.is_running or place.progress.get("state") in ENDED:
            return self._started(lease, place)
        if job.cancel_asked_at is not None:
            return self._never_started(lease)
        python, bundle = self._means.caches.python(job.batch_lock_digest or "-"), self._means.caches.bundle(job.bundle_digest or "-")
        if python is None or bundle is None:
            return self._prepare_again(lease)
        try:
            self._furnish(job, place, bundle)
            self._children[lease.id] = driver.start(place, python)
        except (FairleadError, OSError) as error:
            return self._refused(lease, error)
        STARTED.reach()
        return self._started(lease, place)

    def _furnish(self, job: JobRow, place: Place, bundle: Path) -> None:
        place.make()
        orders.lay_inputs(self._store, job.wish, place)
        wanted = list(orders.accesses(job.wish))
        with self._means.database.reading() as session:
            opened = open_secrets(session, self._means.seal, job.workspace_id, dict.fromkeys(each.secret for each in wanted))
        place.write_secrets({each.file: opened[each.secret] for each in wanted})
        place.write_order(orders.order_of(job, place, bundle))

    def _started(self, lease: Lease, place: Place) -> After | Done:
        with self._recording(lease) as (session, job, run):
            again = job.started_at is not None
            job.state, job.stage, job.message = JobState.IN_PROGRESS.value, JobStage.RUNNING.value, ""
            job.started_at = job.started_at or now()
            job.output_url = job.output_url or (place.output.as_uri() if job.wish.get("output") else None)
            run.shards_done = observing.shards_done(place.progress)
            uses.arrive(session, job.id)
            said = "Its driver runs again, and goes on where the last one was." if again else "Its driver runs."
            events.note(session, job, "DriverRestarted" if again else "JobRunning", said, node=observing.node_name())
            SEEN.reach()
        return After(SOON)

    def _prepare_again(self, lease: Lease) -> After | Done:
        """Bundle or environment went from this machine's cache; preparing makes the run due again."""
        with self._recording(lease) as (session, job, _):
            job.state, job.stage, job.due_at = JobState.NOT_STARTED.value, JobStage.ENVIRONMENT.value, now()
            events.note(session, job, "JobPreparing", "Its environment is not on this machine any more; it is built again.")
        return DONE

    def _refused(self, lease: Lease, error: FairleadError | OSError) -> After | Done:
        with self._recording(lease) as (session, job, run):
            if isinstance(error, Unavailable | OSError) and not isinstance(error, StoreFull) and run.tries < MOST_IN_VAIN:
                run.tries += 1
                job.message = str(error)[:1000]
                events.touch(job)
                return After(pause_after(run.tries, LONGEST_PAUSE))
            cause = type(error).problem_type().rpartition(":")[2] if isinstance(error, FairleadError) else "driver-not-started"
            end(session, job, JobState.FAILED, failure=JobFailure(stage="starting", cause=cause, message=str(error)))
            SEEN.reach()
        return After(0.0)

    def _never_started(self, lease: Lease) -> After | Done:
        with self._recording(lease) as (session, job, _):
            end(session, job, JobState.CANCELLED, f"Cancelled by {job.cancel_asked_by} before it went on.")
            SEEN.reach()
        return After(0.0)

    def _watch(self, lease: Lease, job: JobRow, place: Place) -> After | Done:
        if job.cancel_asked_at is not None:
            place.ask_end()
        alive = self._is_alive(lease.id, job) or place.is_running
        progress = place.progress
        with self._means.database.reading() as session:
            run = session.get_one(JobRunRow, lease.id)
        said, offset = place.events_since(run.events_read)
        if alive and not said and not observing.says_something_new(job, progress):
            return After(SOON if job.cancel_asked_at is not None else WATCH)
        with self._recording(lease) as (session, found, row):
            for each in said:
                observing.note_event(session, found, each)
            row.events_read = offset
            observing.note_progress(session, found, progress)
            if alive:
                outcome: After | Done = After(WATCH)
            elif place.events_since(offset)[1] > offset:
                outcome = After(0.0)
            else:
                outcome = self._over(session, found, row, place)
            SEEN.reach()
        return outcome

    def _over(self, session: Session, job: JobRow, run: JobRunRow, place: Place) -> After | Done:
        """Its driver ended: as it says itself, as it was asked to, or by a kill, and then another goes on."""
        progress = place.progress
        if progress.get("state") in ENDED:
            state, message, failure = observing.outcome_of(progress, job)
            end(session, job, state, message, failure)
        elif job.cancel_asked_at is not None:
            end(session, job, JobState.CANCELLED, f"Cancelled by {job.cancel_asked_by}.")
        elif (child := self._children.get(job.id)) is not None and child.gave_up:
            said = f"Its driver ended with exit code {child.exit_code} and without a word to its record; its log is logs/sys/driver.txt."
            end(session, job, JobState.FAILED, failure=JobFailure(stage="running", cause="driver-failed", message=said, log_lines=place.last_lines()))
        else:
            return self._again(session, job, run, place)
        return After(0.0)  # once more, to clear up

    def _again(self, session: Session, job: JobRow, run: JobRunRow, place: Place) -> After | Done:
        run.tries = 1 if observing.shards_done(place.progress) > run.shards_done else run.tries + 1
        run.restarts += 1
        if run.tries > MOST_IN_VAIN:
            said = f"Its driver was ended from outside {run.tries} times one after the other without getting any further, perhaps for lack of memory."
            lines = place.last_lines()
            failure = JobFailure(stage="running", cause="driver-died", message=f"{said} Its log is logs/sys/driver.txt.", log_lines=lines)
            end(session, job, JobState.FAILED, failure=failure)
            return After(0.0)
        job.stage = JobStage.STARTING.value
        events.note(session, job, "DriverDied", f"Its driver was ended from outside; another goes on (restart {run.restarts}).", node=observing.node_name())
        return After(SOON * 2**run.tries)

    def _is_alive(self, job_id: str, job: JobRow) -> bool:
        """Of one that this process started: also before it has taken the lock."""
        child = self._children.get(job_id)
        if child is None:
            return False
        if not child.is_running:
            return False
        if job.cancel_asked_at is not None and (now() - job.cancel_asked_at).total_seconds() > GIVES_UP:
            child.kill()
        return True

    @contextmanager
    def _recording(self, lease: Lease) -> Iterator[tuple[Session, JobRow, JobRunRow]]:
        """The job is locked first, as requests lock it. Raises LeaseLost also when it is over."""
        found: list[JobRow] = []

        def hold(session: Session) -> None:
            found.append(session.scalars(select(JobRow).where(JobRow.id == lease.id).with_for_update()).one())

        with self.leases.recording(lease, hold) as (session, run):
            if JobState(found[0].state).is_over:
                raise LeaseLost
            yield session, found[0], run

"""Preparing a job: its bundle and its two locks, and the environment on this machine. It takes as long as it takes; others go on meanwhile."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import Session

from fairlead.bundles import open_bundle
from fairlead.errors import EnvironmentFailure, FairleadError, InvalidBundle, StoreFull, Unavailable
from fairlead.flavors import unsafe
from fairlead.schemas.jobs import JobFailure, JobStage, JobState
from fairlead.server.clock import now
from fairlead.server.faults import FaultPoint
from fairlead.server.jobs import environments, events, requirements
from fairlead.server.jobs.ending import end
from fairlead.server.jobs.environments import BatchLocked, Ingredients
from fairlead.server.leases import Lease, LeaseLost, Leases
from fairlead.server.making.caches import read_tree
from fairlead.server.making.disk import told_of_disk
from fairlead.server.making.packaging import Packed, pack
from fairlead.server.making.plans import Plan
from fairlead.server.making.provision import Pinned
from fairlead.server.means import Means
from fairlead.server.tables.jobs import JobRow, JobRunRow
from fairlead.server.work import DONE, After, Done, pause_after
from fairlead.stores import Store

PACKED = FaultPoint("jobs.prepare.packed", "a bundle is stored, and its job does not know")
BUILT = FaultPoint("jobs.prepare.built", "an environment is built, and its job does not know")
NOTED = FaultPoint("jobs.prepare.before-commit", "what was prepared is written, and not yet committed")
LOG = logging.getLogger("fairlead.server.jobs")
MOST_TRIES = 8  # when store or index do not answer: some four minutes
LONGEST_PAUSE = 60.0
STAGES = (JobStage.PACKAGING.value, JobStage.ENVIRONMENT.value)


class JobPreparation:
    name = "prepare-jobs"
    holds_many = False

    def __init__(self, means: Means, store: Store, *, lease_seconds: float, threads: int) -> None:
        self.leases: Leases[JobRow] = Leases(means.database, JobRow, means.node, lease_seconds, self._may_take, means.news)
        self.threads = threads
        self._means = means
        self._store = store

    def step(self, lease: Lease) -> After | Done:
        try:
            job = self._begin(lease)
            if job is None:
                return DONE
            with told_of_disk(self._means.caches.folder):
                packed = self._pack(lease, job)
                locked = self._lock(lease, job, packed)
                self._means.caches.builder.build(locked.batch, self._saying(lease))
            BUILT.reach()
            self._finish(lease)
        except FairleadError as error:
            return self._failed(lease, error)
        return DONE

    def _may_take(self) -> ColumnElement[bool]:
        """One that nobody has begun with, or this machine has."""
        return and_(JobRow.finished_at.is_(None), JobRow.stage.in_(STAGES), or_(JobRow.place == self._means.node, JobRow.place.is_(None)))

    def _begin(self, lease: Lease) -> JobRow | None:
        with self.leases.recording(lease) as (session, job):
            if not _is_ours(job):
                return None
            if job.place is None:
                job.place = self._means.node
                events.note(session, job, "JobPreparing", "Models and script are put into a bundle.")
            return job

    def _pack(self, lease: Lease, job: JobRow) -> Packed:
        caches = self._means.caches
        if job.bundle_digest is not None and job.bundle_tree is not None:
            place = caches.bundle(job.bundle_digest) or caches.lay_bundle(self._store, read_tree(self._store, job.bundle_tree))[0]
            return Packed(digest=job.bundle_digest, tree=job.bundle_tree, place=place)
        packed = pack(self._store, caches, Plan.model_validate(job.recipe))
        PACKED.reach()
        self._refuse_unsafe(packed)
        with self._recording(lease) as (_, found):
            found.bundle_digest, found.bundle_tree, found.stage = packed.digest, packed.tree, JobStage.ENVIRONMENT.value
            _say(found, f"Bundle {packed.digest[:12]} is there; its environment is next.")
            NOTED.reach()
        return packed

    def _refuse_unsafe(self, packed: Packed) -> None:
        if self._means.unsafe_formats != "allow" and (found := unsafe.scan(packed.place)):
            raise InvalidBundle(unsafe.refusal(found))

    def _lock(self, lease: Lease, job: JobRow, packed: Packed) -> BatchLocked:
        own = None
        if job.lock_blob is not None and job.lock_python is not None:
            own = Pinned(lock_blob=job.lock_blob, python_version=job.lock_python, variables=dict(job.variables or {}))
        beside = functools.partial(requirements.needed, job.kind, job.wish)
        welcome = requirements.welcome(job.kind, open_bundle(packed.place, verify=False))
        of = Ingredients(plan=Plan.model_validate(job.recipe), bundle=packed.place, beside=beside, own=own, batch=job.batch_lock_blob, welcome=welcome)
        locked = environments.lock(self._store, self._means.caches, of, self._saying(lease))
        with self._recording(lease) as (_, found):
            found.lock_digest, found.lock_blob, found.lock_python = locked.own.lock.digest, locked.own.blob, locked.own.lock.python
            found.variables = dict(locked.own.variables)
            found.batch_lock_digest, found.batch_lock_blob = locked.batch.digest, locked.batch_blob
            found.stage = JobStage.ENVIRONMENT.value
            _say(found, f"Versions are chosen ({locked.batch.digest[:12]}); the environment is built.")
            NOTED.reach()
        return locked

    def _finish(self, lease: Lease) -> None:
        with self._recording(lease) as (session, job):
            job.stage, job.tries = JobStage.QUEUED.value, 0
            events.note(session, job, "JobQueued", "Everything is there; it waits for its turn.")
            job.message = "It waits for its turn."
            session.get_one(JobRunRow, job.id, with_for_update=True).due_at = now()
            NOTED.reach()

    @contextmanager
    def _recording(self, lease: Lease) -> Iterator[tuple[Session, JobRow]]:
        """Raises LeaseLost also when the job is over meanwhile: then whoever prepares it stops."""
        with self.leases.recording(lease) as (session, job):
            if not _is_ours(job):
                raise LeaseLost
            yield session, job

    def _saying(self, lease: Lease) -> Callable[[str], None]:
        """What a build says becomes the job's message, for those who watch."""

        def say(line: str) -> None:
            try:
                with self._recording(lease) as (_, job):
                    _say(job, line[:1000])
            except LeaseLost:
                LOG.info("the job %s was cancelled, or its lease lost, while its environment was built", lease.id)

        return say

    def _failed(self, lease: Lease, error: FairleadError) -> After | Done:
        """What may pass is tried again; the rest is the job's end."""
        with self._recording(lease) as (session, job):
            if isinstance(error, Unavailable) and not isinstance(error, StoreFull) and job.tries < MOST_TRIES:
                job.tries += 1
                _say(job, str(error)[:1000])
                return After(pause_after(job.tries, LONGEST_PAUSE))
            end(session, job, JobState.FAILED, failure=_failure(job, error))
            NOTED.reach()
        return DONE


def _is_ours(job: JobRow) -> bool:
    return job.finished_at is None and job.deleted_at is None and job.stage in STAGES


def _say(job: JobRow, message: str) -> None:
    job.message = message
    events.touch(job)


def _failure(job: JobRow, error: FairleadError) -> JobFailure:
    said = error.log if isinstance(error, EnvironmentFailure) else ""
    cause = error.cause if isinstance(error, EnvironmentFailure) else type(error).problem_type().rpartition(":")[2]
    return JobFailure(stage=job.stage or "packaging", cause=cause, message=str(error), log_lines=said.splitlines())

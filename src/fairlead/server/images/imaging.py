"""Building images that were asked for. It takes as long as it takes; services go on meanwhile."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import Session

from fairlead.errors import EnvironmentFailure, FairleadError, StoreFull, Unavailable
from fairlead.schemas.bases import DockerfileWish
from fairlead.schemas.services import Failure
from fairlead.server.clock import now
from fairlead.server.faults import FaultPoint
from fairlead.server.images import assembling, contexts, keeping
from fairlead.server.images.assembling import Ingredients, Made, Yard
from fairlead.server.images.contexts import Written
from fairlead.server.leases import Lease, LeaseLost, Leases
from fairlead.server.making import provision
from fairlead.server.making.caches import Caches, read_tree
from fairlead.server.making.disk import told_of_disk
from fairlead.server.making.packaging import Packed, pack
from fairlead.server.making.plans import Plan
from fairlead.server.making.provision import Locked, Pinned
from fairlead.server.means import Means
from fairlead.server.tables.images import ImageRow
from fairlead.server.work import DONE, After, Done, pause_after

BUILT = FaultPoint("images.build.built", "an image is in the store, and its record does not know")
TAKEN = FaultPoint("images.build.taken", "an image's contents are the workspace's, and its record does not know")
NOTED = FaultPoint("images.build.before-commit", "what was built is written, and not yet committed")
LOG = logging.getLogger("fairlead.server.images")
MOST_TRIES = 3  # when store, index or registry do not answer, beyond what each tries by itself: somebody waits
LONGEST_PAUSE = 60.0
LONGEST_MESSAGE = 4000
LAST_LINES = 50  # of a log, in a failure
LONGEST_LOG = 64_000


@dataclass(frozen=True)
class _Job:
    row: ImageRow
    plan: Plan


class Imaging:
    name = "image"
    holds_many = False

    def __init__(self, means: Means, yard: Yard, *, lease_seconds: float, threads: int) -> None:
        self.leases: Leases[ImageRow] = Leases(means.database, ImageRow, means.node, lease_seconds, _anyone, means.news)
        self.threads = threads
        self._database = means.database
        self._yard = yard
        self._caches: Caches = means.caches

    def step(self, lease: Lease) -> After | Done:
        job = self._begin(lease)
        if job is None:
            return DONE
        try:
            with told_of_disk(self._caches.folder):
                packed = self._pack(lease, job)
                locked = self._lock(lease, job, packed)
                self._keep(lease, job, self._build(lease, job, packed, locked))
        except FairleadError as error:
            return self._failed(lease, error)
        return DONE

    def _begin(self, lease: Lease) -> _Job | None:
        with self.leases.recording(lease) as (_, row):
            if row.deleted_at is not None or row.state not in ("pending", "running"):
                return None
            plan = Plan.model_validate(row.recipe)
            row.state = "running"
            _say(row, row.stage or "packaging", "Models and script are put into a bundle.")
            return _Job(row, plan)

    def _pack(self, lease: Lease, job: _Job) -> Packed:
        row, store = job.row, self._yard.store
        if row.bundle_digest is not None and row.bundle_tree is not None:
            place = self._caches.bundle(row.bundle_digest) or self._caches.lay_bundle(store, read_tree(store, row.bundle_tree))[0]
            return Packed(digest=row.bundle_digest, tree=row.bundle_tree, place=place)
        packed = pack(store, self._caches, job.plan)
        with self.leases.recording(lease) as (_, found):
            found.bundle_digest, found.bundle_tree = packed.digest, packed.tree
            _say(found, "environment", f"Bundle {packed.digest[:12]} is there; versions of its packages are next.")
        return packed

    def _lock(self, lease: Lease, job: _Job, packed: Packed) -> Locked:
        row, pinned = job.row, None
        if row.lock_blob is not None and row.lock_python is not None:
            pinned = Pinned(lock_blob=row.lock_blob, python_version=row.lock_python, variables=dict(row.variables or {}))
        locked = provision.lock(self._yard.store, self._caches, job.plan, packed.place, pinned, lambda line: self._tell(lease, "environment", line))
        with self.leases.recording(lease) as (_, found):
            found.lock_digest, found.lock_blob, found.lock_python = locked.lock.digest, locked.blob, locked.lock.python
            found.variables = dict(locked.variables)
            _say(found, "image", f"Versions are chosen ({locked.lock.digest[:12]}); the image is built.")
        return locked

    def _build(self, lease: Lease, job: _Job, packed: Packed, locked: Locked) -> Made | Written:
        row = job.row
        platforms = tuple(row.wish.get("platforms") or ())
        of = Ingredients(plan=job.plan, packed=packed, locked=locked, platforms=platforms, git_commit=row.git_commit)
        if row.wish.get("dockerfile") is not None:
            made: Made | Written = contexts.write(self._yard, of, DockerfileWish.model_validate(row.wish["dockerfile"]))
        else:
            asker = assembling.asker_of(self._database, self._yard, row.workspace_id, job.plan)
            made = assembling.assemble(self._yard, of, asker, lambda line: self._tell(lease, "image", line))
        BUILT.reach()
        return made

    def _keep(self, lease: Lease, job: _Job, made: Made | Written) -> None:
        """Contents first: once they are the workspace's, no clearing-up takes what the record is about to need."""

        def hold(session: Session) -> None:
            keeping.hold(session, job.row.workspace_id)

        with self.leases.recording(lease, hold) as (session, row):
            new = keeping.take(session, row.workspace_id, made.blobs)
        TAKEN.reach()
        keeping.refuse_missing(self._yard.store, made.blobs)
        with self.leases.recording(lease, hold) as (session, row):
            keeping.finish(session, row, made, new)
            NOTED.reach()

    def _tell(self, lease: Lease, stage: str, line: str) -> None:
        """What a build says becomes the record's message, for those who watch."""
        try:
            with self.leases.recording(lease) as (_, row):
                _say(row, stage, line[:1000])
        except LeaseLost:
            LOG.info("the lease of image %s was lost while it was built", lease.id)

    def _failed(self, lease: Lease, error: FairleadError) -> After | Done:
        """What may pass is tried again."""
        with self.leases.recording(lease) as (_, row):
            if isinstance(error, Unavailable) and not isinstance(error, StoreFull) and row.tries < MOST_TRIES:
                row.tries += 1
                _say(row, row.stage or "image", str(error)[:1000])
                return After(pause_after(row.tries, LONGEST_PAUSE))
            failure = _failure(row.stage or "image", error)
            _say(row, failure.stage, failure.message)
            row.state, row.failure = "failed", failure.model_dump(mode="json")
            row.finished_at, row.due_at = now(), None
            NOTED.reach()
        return DONE


def _anyone() -> ColumnElement[bool]:
    """A build needs no machine of its own: the store is everybody's."""
    return true()


def _say(row: ImageRow, stage: str, message: str) -> None:
    row.stage, row.message, row.updated_at = stage, message, now()
    row.log = f"{row.log}{message}\n"[-LONGEST_LOG:]
    row.serial += 1


def _failure(stage: str, error: FairleadError) -> Failure:
    said: Any = error.log if isinstance(error, EnvironmentFailure) else ""
    cause = error.cause if isinstance(error, EnvironmentFailure) else type(error).problem_type().rpartition(":")[2]
    return Failure(stage=stage, cause=cause, message=str(error)[:LONGEST_MESSAGE], log_lines=said.splitlines()[-LAST_LINES:])

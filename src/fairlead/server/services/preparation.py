"""Preparing a revision: its bundle, and its environment on this machine or its image. It takes as long as it takes; services go on meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from fairlead.errors import EnvironmentFailure, FairleadError, Forbidden, StoreFull, Unavailable
from fairlead.images.bases import own
from fairlead.schemas.services import IMAGE_TARGETS, Failure
from fairlead.server.clock import now
from fairlead.server.faults import FaultPoint
from fairlead.server.images import assembling, engine_building, keeping, pinning, trust
from fairlead.server.images.assembling import Ingredients, Yard
from fairlead.server.leases import Lease, LeaseLost, Leases
from fairlead.server.making import provision
from fairlead.server.making.caches import read_tree
from fairlead.server.making.disk import told_of_disk
from fairlead.server.making.packaging import Packed, pack
from fairlead.server.making.provision import Pinned, Provision
from fairlead.server.means import Means
from fairlead.server.services import revisions, usage, wanting
from fairlead.server.tables.images import ImageRow
from fairlead.server.tables.services import RevisionRow, ServiceRow
from fairlead.server.work import DONE, After, Done, pause_after

PACKED = FaultPoint("services.prepare.packed", "a bundle is stored, and its revision does not know")
BUILT = FaultPoint("services.prepare.built", "an environment is built, and its revision does not know")
NOTED = FaultPoint("services.prepare.before-commit", "what was prepared is written, and not yet committed")
LOG = logging.getLogger("fairlead.server.services")
MOST_TRIES = 8  # when store or index do not answer: some four minutes
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class _Job:
    revision: RevisionRow
    service: ServiceRow


class Preparation:
    name = "prepare"
    holds_many = False

    def __init__(self, means: Means, yard: Yard, *, lease_seconds: float, threads: int) -> None:
        self.leases: Leases[RevisionRow] = Leases(means.database, RevisionRow, means.node, lease_seconds, self._may_take, means.news)
        self.threads = threads
        self._yard = yard
        self._store = yard.store
        self._database = means.database
        self._caches = means.caches
        self._node = means.node
        self._targets = sorted(means.targets)

    def step(self, lease: Lease) -> After | Done:
        job = self._begin(lease)
        if job is None:
            return DONE
        try:
            with told_of_disk(self._caches.folder):
                self._prepare(lease, job)
        except FairleadError as error:
            return self._failed(lease, job.revision, error)
        return DONE

    def _prepare(self, lease: Lease, job: _Job) -> None:
        packed = self._pack(lease, job)
        if job.service.target in IMAGE_TARGETS:
            self._put_into_image(lease, job, packed)
        else:
            self._finish(lease, packed, self._provide(lease, job, packed))

    def _may_take(self) -> ColumnElement[bool]:
        here = or_(ServiceRow.place == self._node, and_(ServiceRow.place.is_(None), ServiceRow.target.in_(self._targets)))
        return exists().where(ServiceRow.id == RevisionRow.service_id, here)

    def _recording(self, lease: Lease, workspace_id: str | None = None) -> AbstractContextManager[tuple[Session, RevisionRow]]:
        """The service is locked first, as requests lock it; before it the workspace, where contents become its own."""

        def hold(session: Session) -> None:
            if workspace_id is not None:
                keeping.hold(session, workspace_id)
            of_it = select(RevisionRow.service_id).where(RevisionRow.id == lease.id).scalar_subquery()
            session.scalars(select(ServiceRow).where(ServiceRow.id == of_it).with_for_update()).all()

        return self.leases.recording(lease, hold)

    def _begin(self, lease: Lease) -> _Job | None:
        """None when nobody wants it any more."""
        with self._recording(lease) as (session, row):
            service = _service(session, row)
            if service.place not in (None, self._node) or service.leaving_at is not None or row.state not in ("pending", "running"):
                return None
            if row.stage == "packaging" and row.tries == 0:
                revisions.enter(session, service, row, "packaging", "Models and script are put into a bundle.")
            return _Job(row, service)

    def _pack(self, lease: Lease, job: _Job) -> Packed:
        row = job.revision
        if row.bundle_digest is not None and row.bundle_tree is not None:
            place = self._caches.bundle(row.bundle_digest) or self._caches.lay_bundle(self._store, read_tree(self._store, row.bundle_tree))[0]
            return Packed(digest=row.bundle_digest, tree=row.bundle_tree, place=place)
        packed = pack(self._store, self._caches, revisions.plan_of(row))
        PACKED.reach()
        with self._recording(lease) as (session, found):
            found.bundle_digest, found.bundle_tree = packed.digest, packed.tree
            if found.state == "pending":
                revisions.enter(session, _service(session, found), found, "environment", f"Bundle {packed.digest[:12]} is there; its environment is next.")
            NOTED.reach()
        return packed

    def _provide(self, lease: Lease, job: _Job, packed: Packed) -> Provision:
        say = self._saying(lease, "environment")
        provided = provision.provide(self._store, self._caches, revisions.plan_of(job.revision), packed.place, pinned_of(job.revision), say)
        BUILT.reach()
        return provided

    def _put_into_image(self, lease: Lease, job: _Job, packed: Packed) -> None:
        """The one that it was put into before, while that is there; else one is built, or found to be there."""
        row, workspace_id = job.revision, job.service.workspace_id
        if self._may_run_again(row):
            self._finish(lease, packed, None)
            return
        plan = revisions.plan_of(row)
        locked = provision.lock(self._store, self._caches, plan, packed.place, pinned_of(row), self._saying(lease, "environment"))
        of = Ingredients(plan=plan, packed=packed, locked=locked, platforms=(own(),), git_commit=row.git_commit)
        say = self._saying(lease, "image")
        say(f"Versions are chosen ({locked.lock.digest[:12]}); the image is built.")
        made = engine_building.assemble(self._yard, of, assembling.asker_of(self._database, self._yard, workspace_id, plan), say)
        BUILT.reach()
        with self._recording(lease, workspace_id) as (session, _):
            new = keeping.take(session, workspace_id, made.blobs)
        keeping.refuse_missing(self._store, made.blobs)
        with self._recording(lease, workspace_id) as (session, found):
            service = _service(session, found)
            image = keeping.keep(session, workspace_id, service.name, made, new, created_by=found.created_by)
            for name, value in pinning.columns(image).items():
                setattr(found, name, value)
        with self._database.reading() as session:
            trust.refuse_unsigned(session, image, self._yard.key)
        provided = Provision(lock_digest=locked.lock.digest, lock_blob=locked.blob, python_version=locked.lock.python, variables=locked.variables)
        self._finish(lease, packed, provided)

    def _may_run_again(self, row: RevisionRow) -> bool:
        """Whether it has an image that is there. Raises Forbidden when it lacks a signature."""
        if row.image_id is None:
            return False
        with self._database.reading() as session:
            image = session.get_one(ImageRow, row.image_id)
            trust.refuse_unsigned(session, image, self._yard.key)
        return image.deleted_at is None and all(self._store.size(digest) is not None for digest in image.blobs)

    def _saying(self, lease: Lease, stage: str) -> Callable[[str], None]:
        """What a build says becomes the service's message, for those who watch."""

        def say(line: str) -> None:
            try:
                with self._recording(lease) as (session, row):
                    if row.state == "pending":
                        revisions.enter(session, _service(session, row), row, stage, line[:1000])
            except LeaseLost:
                LOG.info("the lease of revision %s was lost while its %s was built", lease.id, stage)

        return say

    def _finish(self, lease: Lease, packed: Packed, provided: Provision | None) -> None:
        """Where the first revision was prepared, the service is to run. `provided`: None when it is known already."""
        with self._recording(lease) as (session, row):
            row.bundle_digest, row.bundle_tree = packed.digest, packed.tree
            if provided is not None:
                row.lock_digest, row.lock_blob, row.lock_python = provided.lock_digest, provided.lock_blob, provided.python_version
                row.variables = dict(provided.variables)
            row.tries = 0
            service = _service(session, row)
            service.place = service.place or self._node
            if row.state == "pending":
                what = f"Image {row.image['name']}" if row.image else f"Environment {(row.lock_digest or '')[:12]}"
                revisions.enter(session, service, row, "starting", f"{what} is there; workers are started.")
            if row.state in ("pending", "running"):
                wanting.apply_anew(service)
            NOTED.reach()

    def _failed(self, lease: Lease, row: RevisionRow, error: FairleadError) -> After | Done:
        """What may pass is tried again; the rest is the revision's fate."""
        with self._recording(lease) as (session, found):
            if isinstance(error, Unavailable) and not isinstance(error, StoreFull) and found.tries < MOST_TRIES:
                found.tries += 1
                return After(pause_after(found.tries, LONGEST_PAUSE))
            service = _service(session, found)
            if found.state == "pending":
                revisions.fail(session, service, found, _failure(found, error))
                usage.end(session, service, found)
            else:
                LOG.error("revision %s of service %s cannot be laid down again: %s", row.number, service.name, error)
                found.due_at = now() + timedelta(seconds=LONGEST_PAUSE)
            NOTED.reach()
        return DONE


def pinned_of(row: RevisionRow) -> Pinned | None:
    """What it was locked to, if it was."""
    if row.lock_blob is None or row.lock_python is None:
        return None
    return Pinned(lock_blob=row.lock_blob, python_version=row.lock_python, variables=dict(row.variables or {}))


def _service(session: Session, row: RevisionRow) -> ServiceRow:
    return session.get_one(ServiceRow, row.service_id)


def _failure(row: RevisionRow, error: FairleadError) -> Failure:
    stage = "packaging" if row.bundle_digest is None else row.stage if row.stage in ("environment", "image") else "environment"
    stage = "image" if isinstance(error, Forbidden) else stage  # one that must not run as it is
    said: Any = error.log if isinstance(error, EnvironmentFailure) else ""
    cause = error.cause if isinstance(error, EnvironmentFailure) else type(error).problem_type().rpartition(":")[2]
    return Failure(stage=stage, cause=cause, message=str(error), log_lines=said.splitlines())

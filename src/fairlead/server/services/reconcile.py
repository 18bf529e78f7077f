"""Keeping a service as it should be: told to its target, watched, started again when it ended by itself, ended when nobody wants it.

A step is short: the target is asked or told, nothing is waited for. Between steps the lease is held, so an idle service costs no transaction.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session, defer

from fairlead.errors import FairleadError
from fairlead.schemas.services import Failure
from fairlead.schemas.storable import made_storable
from fairlead.server.accounts.secrets import open_secrets
from fairlead.server.clock import now
from fairlead.server.faults import FaultPoint
from fairlead.server.leases import Lease, Leases
from fairlead.server.means import Means
from fairlead.server.services import endpoints, events, revisions, usage
from fairlead.server.services.workload import Wanted, workload
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.services import EndpointRow, RevisionRow, ServiceRow
from fairlead.server.work import DONE, After, Done, pause_after
from fairlead.targets import types
from fairlead.targets.types import Observation, State, Target

APPLIED = FaultPoint("services.apply.told", "the target was told, and the row does not say so")
TOLD = FaultPoint("services.apply.before-commit", "that the target was told is written, and not yet committed")
SEEN = FaultPoint("services.observe.before-commit", "what was seen is written, and not yet committed")
DELETED = FaultPoint("services.delete.before-commit-of-end", "that a deleted service has ended is written, and not yet committed")
GONE = FaultPoint("services.delete.stopped", "a deleted service has ended, and the row does not say so")
WATCH = 1.0
SOON = 0.025  # while something is on its way
LATER = 0.25
SLOW_AFTER = 3.0  # seconds after which what is on its way is looked at less often
LONGEST_PAUSE = 60.0
STEADY = timedelta(minutes=1)  # a service that ran this long starts counting its failures anew
ON_ITS_WAY = (State.STARTING, State.UPDATING)
ENDED = (State.ABSENT, State.STOPPED, State.FAILED)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    service: ServiceRow
    wanted: RevisionRow
    serving: RevisionRow | None

    @property
    def to_run(self) -> RevisionRow | None:
        """The wanted one once it is prepared, unless it failed; else the one that serves."""
        prepared = self.wanted.state == "running" or (self.wanted.state == "pending" and self.wanted.stage in ("starting", "proving"))
        return self.wanted if prepared else self.serving


class Upkeep:
    name = "keep"
    holds_many = True

    def __init__(self, means: Means, *, lease_seconds: float, threads: int) -> None:
        self.leases: Leases[ServiceRow] = Leases(means.database, ServiceRow, means.node, lease_seconds, self._may_take, means.news)
        self.threads = threads
        self._means = means
        self._changing_since: dict[str, float] = {}

    def step(self, lease: Lease) -> After | Done:
        rows = self._read(lease)
        if rows is None:
            return DONE
        target = self._means.targets[rows.service.target]
        if rows.service.leaving_at is not None:
            return self._end(lease, rows.service, target)
        if rows.service.generation > rows.service.applied_generation:
            return self._apply(lease, rows, target)
        if rows.service.applied_generation == 0:
            return DONE  # nothing runs, and preparing the first revision makes this due again
        return self._watch(lease, rows, _storable(target.observe(rows.service.handle)))

    def _may_take(self) -> ColumnElement[bool]:
        """Also one without a place, to end it before it ever had one."""
        nowhere = and_(ServiceRow.place.is_(None), ServiceRow.leaving_at.is_not(None), ServiceRow.target.in_(sorted(self._means.targets)))
        return and_(ServiceRow.deleted_at.is_(None), or_(ServiceRow.place == self._means.node, nowhere))

    def _read(self, lease: Lease) -> _Rows | None:
        with self._means.database.reading() as session:
            service = session.get(ServiceRow, lease.id)
            return None if service is None or service.deleted_at is not None else _rows(session, service)

    def _apply(self, lease: Lease, rows: _Rows, target: Target) -> After | Done:
        row = rows.to_run
        if row is None:
            return DONE
        try:
            told = self._workload(rows.service, row.id)
            if told is None:
                return self._prepare_again(lease, row)
            target.apply(told)
        except FairleadError as error:
            return self._refused(lease, row, error)
        APPLIED.reach()
        with self.leases.recording(lease) as (session, service):
            service.applied_generation, service.applied_revision = told.generation, row.number
            found = session.get_one(RevisionRow, row.id)
            if found.state == "pending" and found.stage == "starting":
                revisions.enter(session, service, found, "proving", "A new worker loads the model and answers the sample.")
            TOLD.reach()
        self._changing_since[lease.id] = time.monotonic()
        return After(SOON)

    def _workload(self, service: ServiceRow, revision_id: str) -> types.Service | None:
        means = self._means
        with means.database.reading() as session:
            row = session.get_one(RevisionRow, revision_id)
            endpoint = session.get_one(EndpointRow, service.endpoint_id)
            workspace = session.get_one(WorkspaceRow, service.workspace_id)
            secrets = open_secrets(session, means.seal, service.workspace_id, revisions.settings_of(row).secrets or [])
        wanted = Wanted(service=service, revision=row, endpoint=endpoint, workspace=workspace.name, secrets=secrets)
        return workload(means.seal, means.caches, means.unsafe_formats, wanted)

    def _prepare_again(self, lease: Lease, row: RevisionRow) -> After | Done:
        """Bundle or environment went from this machine's cache; preparing makes the service due again."""
        with self.leases.recording(lease) as (session, service):
            session.get_one(RevisionRow, row.id).due_at = now()
            service.applied_generation = service.generation
        return After(WATCH)

    def _refused(self, lease: Lease, row: RevisionRow, error: FairleadError) -> After | Done:
        """The target says that this can never run."""
        with self.leases.recording(lease) as (session, service):
            found = session.get_one(RevisionRow, row.id)
            service.applied_generation = service.generation
            failure = Failure(stage="starting", cause=type(error).problem_type().rpartition(":")[2], message=str(error))
            self._judge(session, service, found, failure)
            TOLD.reach()
        return After(WATCH) if service.serving_revision is not None else DONE

    def _watch(self, lease: Lease, rows: _Rows, seen: Observation) -> After | Done:
        if not _says_something_new(rows, seen):
            return self._next(lease, rows.service, seen)
        with self.leases.recording(lease) as (session, service):
            self._record(session, _rows(session, service), seen)
            SEEN.reach()
        return self._next(lease, service, seen)

    def _record(self, session: Session, rows: _Rows, seen: Observation) -> None:
        service = rows.service
        _note_seen(service, seen)
        if not _is_tried(service, seen):
            return
        tried = revisions.numbered(session, service, service.applied_revision)
        if tried is not None and tried.state == "pending":
            if seen.failure is not None:
                failure = Failure(**{name: getattr(seen.failure, name) for name in ("stage", "cause", "message")}, log_lines=list(seen.failure.log_lines))
                self._judge(session, service, tried, failure)
            elif seen.revision == tried.short_id:
                for former in revisions.succeed(session, service, tried):
                    usage.end(session, service, former)
        self._settle(session, service, seen)

    def _judge(self, session: Session, service: ServiceRow, row: RevisionRow, failure: Failure) -> None:
        if row.state == "pending":
            revisions.fail(session, service, row, failure)
            usage.end(session, service, row)
        else:
            service.message = failure.message
            events.note(session, service, "failed", f"{failure.stage}: {failure.cause}: {failure.message}", row.number)

    def _settle(self, session: Session, service: ServiceRow, seen: Observation) -> None:
        """The state, once nothing is on its way; a service that ended by itself is started again, later each time."""
        if service.serving_revision is None:
            return
        before = service.state
        if seen.state in ENDED:
            self._start_again(session, service, seen)
            return
        is_changing = service.wanted_revision != service.serving_revision and service.update_error is None
        state = State.UPDATING if seen.state is State.RUNNING and is_changing else seen.state
        service.state, service.message = state.value, seen.message if state is not State.RUNNING or service.update_error is None else ""
        if before == State.UNHEALTHY.value and state is State.RUNNING:
            events.note(session, service, "recovered", "It answers again.")
        elif state is State.UNHEALTHY and before != State.UNHEALTHY.value:
            events.note(session, service, "unhealthy", seen.message or "No worker can answer.")

    def _start_again(self, session: Session, service: ServiceRow, seen: Observation) -> None:
        pause = 0.0 if service.tries == 0 else pause_after(service.tries - 1, LONGEST_PAUSE)
        why = seen.message or "It ended by itself."
        service.tries += 1
        service.state, service.message = State.UNHEALTHY.value, f"{why} It is started again{f' in {pause:.0f} s' if pause else ''}."
        events.note(session, service, "restarted", service.message)
        service.generation += 1
        service.due_at = now() + timedelta(seconds=pause)

    def _next(self, lease: Lease, service: ServiceRow, seen: Observation) -> After | Done:
        """When to look again."""
        if service.generation > service.applied_generation:
            return DONE if service.due_at is not None and service.due_at > now() else After(0.0)
        if service.serving_revision is None and service.state == State.FAILED.value:
            return DONE
        if _is_tried(service, seen) and seen.state not in ON_ITS_WAY:
            self._changing_since.pop(lease.id, None)
            return After(WATCH)
        since = self._changing_since.setdefault(lease.id, time.monotonic())
        return After(SOON if time.monotonic() - since < SLOW_AFTER else LATER)

    def _end(self, lease: Lease, service: ServiceRow, target: Target) -> After | Done:
        seen = target.observe(service.handle)
        if seen.state not in (State.ABSENT, State.STOPPED):
            target.stop(service.handle)
            return After(LATER if seen.state is not State.FAILED else SOON)
        target.stop(service.handle)  # it may have ended by itself, and be wanted still
        self._means.caches.forget_private(service.handle)
        GONE.reach()
        with self.leases.recording(lease) as (session, found):
            _delete(session, found)
        return DONE


def _rows(session: Session, service: ServiceRow) -> _Rows:
    """Without recipes, which hold samples and are not looked at each second."""
    numbers = {service.wanted_revision, service.serving_revision} - {None}
    chosen = select(RevisionRow).where(RevisionRow.service_id == service.id, RevisionRow.number.in_(numbers)).options(defer(RevisionRow.recipe))
    found = {row.number: row for row in session.scalars(chosen)}
    return _Rows(service=service, wanted=found[service.wanted_revision], serving=found.get(service.serving_revision or 0))


def _storable(seen: Observation) -> Observation:
    """It repeats what scripts said."""
    if not seen.message and seen.failure is None:
        return seen
    failure = seen.failure and replace(seen.failure, message=made_storable(seen.failure.message), log_lines=tuple(made_storable(seen.failure.log_lines)))
    return replace(seen, message=made_storable(seen.message), failure=failure)


def _is_tried(service: ServiceRow, seen: Observation) -> bool:
    """Whether the target has done with the newest that it was told."""
    return seen.generation >= service.applied_generation or (seen.state in ENDED and service.serving_revision is not None)


def _says_something_new(rows: _Rows, seen: Observation) -> bool:
    """Whether it is worth a transaction."""
    service = rows.service
    facts = (service.scoring_base, service.workers_ready, service.workers_wanted) != (seen.endpoint, seen.workers_ready, seen.workers_wanted)
    applied = rows.wanted if service.applied_revision == rows.wanted.number else rows.serving
    decided = _is_tried(service, seen) and applied is not None and applied.state == "pending"
    if service.serving_revision is None:
        return facts or decided
    is_changing = service.wanted_revision != service.serving_revision and service.update_error is None
    state = State.UPDATING if seen.state is State.RUNNING and is_changing else seen.state
    return facts or decided or (_is_tried(service, seen) and service.state != state.value)


def _note_seen(service: ServiceRow, seen: Observation) -> None:
    service.scoring_base = seen.endpoint or service.scoring_base
    service.workers_ready, service.workers_wanted = seen.workers_ready, seen.workers_wanted
    if service.observed_at is not None and service.state == State.RUNNING.value and now() - service.observed_at > STEADY:
        service.tries = 0
    service.observed_at = now()
    events.touch(service)


def _delete(session: Session, service: ServiceRow) -> None:
    """Its name is free, its keys are gone, its history stays."""
    usage.end(session, service)
    endpoints.destroy(session.get_one(EndpointRow, service.endpoint_id))
    for row in session.scalars(select(RevisionRow).where(RevisionRow.service_id == service.id, RevisionRow.state.in_(("pending", "running")))):
        row.state, row.finished_at, row.due_at = "stopped", now(), None
    service.state, service.message, service.deleted_at, service.due_at = State.STOPPED.value, "", now(), None
    service.workers_ready = service.workers_wanted = 0
    events.note(session, service, "deleted", "It has ended; its name is free.")
    DELETED.reach()

"""Jobs that are asked for, cancelled, run again and deleted: written in one transaction. Making it so is the loop's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fairlead.errors import Conflict
from fairlead.schemas.jobs import Job, JobStage, JobState, NewJob, Rerun
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts.secrets import refuse_missing
from fairlead.server.accounts.workspaces import keep_workspace
from fairlead.server.clock import now
from fairlead.server.context import Context
from fairlead.server.faults import FaultPoint
from fairlead.server.ids import new_id
from fairlead.server.jobs import events, naming, showing, usage, wishes
from fairlead.server.jobs.ending import end
from fairlead.server.making import plans
from fairlead.server.making.plans import Plan
from fairlead.server.registry.uses import User
from fairlead.server.tables.jobs import JobModelRow, JobRow, JobRunRow

CREATED = FaultPoint("jobs.create.before-commit", "a job is asked for, and not yet committed")
CANCELLED = FaultPoint("jobs.cancel.before-commit", "a job's end is asked for, and not yet committed")
DELETED = FaultPoint("jobs.delete.before-commit", "a job is deleted, and not yet committed")
PINS = ("bundle_digest", "bundle_tree", "lock_digest", "lock_blob", "lock_python", "variables", "batch_lock_digest", "batch_lock_blob")
WITHOUT_DRIVER = (JobStage.PACKAGING, JobStage.ENVIRONMENT, JobStage.QUEUED)
UNTIMELY = frozenset(("name", "tags", "description", "git_commit", "git_dirty"))  # a job is the same whatever these say


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A job before it is written. scope: id of its batch service, or "". pins: what is made of it already."""

    kind: str
    plan: Plan
    wish: Mapping[str, Any]
    request: Mapping[str, Any]
    name: str | None = None
    scope: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    rerun_of: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    pins: Mapping[str, Any] = field(default_factory=dict)


def create(session: Session, access: Access, parts: Context, body: NewJob) -> Job:
    """The same name with the same request is the same job. Raises UsageError, NotFound, Conflict, Forbidden."""
    keep_workspace(session, access)
    request = body.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    same = find_same(session, access, "", body.name, request)
    if same is not None:
        return showing.to_wire(session, same)
    plan = plans.first(session, access, body)
    wish = wishes.of_job(session, parts.settings, access, body)
    facts = {name: getattr(body, name) for name in ("experiment", "description", "tags", "git_commit", "git_dirty")}
    return add(session, access, parts, Draft(kind="score", plan=plan, wish=wish, request=request, name=body.name, facts=facts))


def find_same(session: Session, access: Access, scope: str, name: str | None, request: Mapping[str, Any]) -> JobRow | None:
    """The job of this name, when it was asked for in the same words. Raises Conflict when in others."""
    there = None if name is None else naming.named(session, access.workspace_id, scope, name)
    if there is not None and _core(there.request) != _core(request):
        raise Conflict(f"There is a job {name!r} already, which was asked for in other words; choose another name, or delete that one.")
    return there


def rerun(session: Session, access: Access, parts: Context, row: JobRow, body: Rerun) -> Job:
    """As it was resolved then. Raises Conflict, NotFound when a model or content that it needs is gone."""
    keep_workspace(session, access)
    if body.name is not None:
        there = naming.named(session, access.workspace_id, row.scope, body.name)
        if there is not None and there.rerun_of == row.id:
            return showing.to_wire(session, there)
        if there is not None:
            raise Conflict(f"There is a job {body.name!r} already; choose another name.")
    refuse_missing(session, access.workspace_id, wishes_secrets(row.wish))
    facts = {name: getattr(row, name) for name in ("experiment", "description", "tags", "git_commit", "git_dirty")}
    pins = {} if row.cleared_at is not None else {name: getattr(row, name) for name in PINS}
    draft = Draft(
        kind=row.kind,
        plan=Plan.model_validate(row.recipe),
        wish=row.wish,
        request=row.request,
        name=body.name,
        scope=row.scope,
        parameters=row.parameters,
        rerun_of=row.id,
        facts=facts,
        pins=pins,
    )
    return add(session, access, parts, draft, action="rerun")


def add(session: Session, access: Access, parts: Context, draft: Draft, *, action: str = "create") -> Job:
    """Written, and due to be prepared."""
    row = _row(session, access, draft)
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:  # another request, at this moment
        raise Conflict(f"There is a job {row.name!r} already; choose another name.") from error
    session.add(JobRunRow(id=row.id, restarts=0, shards_done=0, events_read=0, lease_token=0, tries=0))
    models = enumerate(draft.plan.models)
    session.add_all(JobModelRow(job_id=row.id, position=at, model_version_id=each.id, name=each.name, version=each.version) for at, each in models)
    usage.begin(session, access.principal, User(kind=usage.JOB, object_id=row.id, name=row.name, revision=1), draft.plan)
    events.note(session, row, "JobSubmitted", f"{access.principal} asks for it.", details={"kind": row.kind, "models": row.models, "engine": row.engine})
    audit.record(session, access, action, "job", row.id, row.name, **({"of": draft.rerun_of} if draft.rerun_of else {}), models=row.models)
    CREATED.reach()
    parts.news.tell_after(session)
    return showing.to_wire(session, row)


def cancel(session: Session, access: Access, parts: Context, row: JobRow) -> Job:
    """`row` is locked. Over at once when nothing runs yet; else its driver is told, and ends within seconds. Silent when it is over."""
    if JobState(row.state).is_over or row.cancel_asked_at is not None:
        return showing.to_wire(session, row)
    row.cancel_asked_at, row.cancel_asked_by = now(), access.principal
    row.etag += 1
    events.note(session, row, "JobCancelRequested", f"{access.principal} asks for its end.")
    if row.stage in WITHOUT_DRIVER:
        end(session, row, JobState.CANCELLED, f"Cancelled by {access.principal} before it started.")
    else:
        row.message = "It is being cancelled."
        session.get_one(JobRunRow, row.id, with_for_update=True).due_at = now()
    audit.record(session, access, "cancel", "job", row.id, row.name)
    CANCELLED.reach()
    parts.news.tell_after(session)
    return showing.to_wire(session, row)


def delete(session: Session, access: Access, parts: Context, row: JobRow) -> None:
    """`row` is locked. Its records stay; its logs, and answers that the server keeps, go. Raises Conflict while it runs."""
    if not JobState(row.state).is_over:
        raise Conflict(f"The job {row.name!r} is not over ({row.state}); cancel it (`fairlead job cancel {row.name}`), then delete it.")
    row.deleted_at = row.cleared_at = now()
    row.etag += 1
    events.touch(row)
    session.get_one(JobRunRow, row.id, with_for_update=True).due_at = now()
    audit.record(session, access, "delete", "job", row.id, row.name)
    DELETED.reach()
    parts.news.tell_after(session)


def wishes_secrets(wish: Mapping[str, Any]) -> list[str]:
    """Names of all secrets that the job is given."""
    places = [*wish.get("inputs", ()), *wish.get("side_inputs", {}).values(), *wish.get("parameters", ()), wish.get("output") or {}]
    return [*wish.get("secrets", ()), *(each["secret"] for each in places if each.get("secret"))]


def _row(session: Session, access: Access, draft: Draft) -> JobRow:
    at, identity = now(), new_id()
    facts = {"experiment": None, "description": "", "tags": {}, "git_commit": None, "git_dirty": None} | dict(draft.facts)
    return JobRow(
        id=identity,
        workspace_id=access.workspace_id,
        service_id=draft.scope or None,
        scope=draft.scope,
        name=draft.name or naming.name_at(session, access.workspace_id, draft.scope, at),
        handle=naming.handle_of(identity),
        kind=draft.kind,
        engine=draft.wish["engine"]["name"],
        state=JobState.NOT_STARTED.value,
        stage=JobStage.PACKAGING.value,
        message="",
        models=[each.reference for each in draft.plan.models],
        recipe=draft.plan.model_dump(mode="json", exclude_defaults=True),
        request=dict(draft.request),
        wish=dict(draft.wish),
        parameters=dict(draft.parameters),
        output_url=(draft.wish.get("output") or {}).get("url"),
        rerun_of=draft.rerun_of,
        created_at=at,
        created_by=access.principal,
        updated_at=at,
        etag=1,
        serial=1,
        due_at=at,
        lease_token=0,
        tries=0,
        **facts,
        **draft.pins,
    )


def _core(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in UNTIMELY}

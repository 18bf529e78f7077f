"""Deploys, updates, rollbacks, reloads, deletions: what is wanted, written in one transaction. Making it so is the loop's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, NotFound, UsageError
from fairlead.schemas.services import NewService, Reload, Service, ServiceChange, Settings, check_service_name, taken
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts.secrets import refuse_missing
from fairlead.server.accounts.workspaces import keep_workspace
from fairlead.server.clock import now
from fairlead.server.context import Context
from fairlead.server.faults import FaultPoint
from fairlead.server.ids import handle_of, new_id
from fairlead.server.images import pinning
from fairlead.server.making import plans
from fairlead.server.making.plans import Plan
from fairlead.server.services import endpoints, events, revisions, showing, usage
from fairlead.server.services.revisions import Origin, Reason
from fairlead.server.tables.services import EndpointRow, RevisionRow, ServiceRow
from fairlead.targets.types import State

CREATED = FaultPoint("services.create.before-commit", "a deploy is written, and not yet committed")
CHANGED = FaultPoint("services.change.before-commit", "an update, rollback or reload is written, and not yet committed")
LEAVING = FaultPoint("services.delete.before-commit", "a deletion is asked for, and not yet committed")
SHAPE = {"workers", "replicas"}  # a change of these alone is scaling
PARTS = {"models", "bundle", "image", "base", "code", "environment", "sample_input", "sample_output", "service_schema", "inference_config"}


def create(session: Session, access: Access, parts: Context, body: NewService) -> Service:
    """Raises UsageError for a name that is none, Conflict when it is taken and not to be overwritten. What has never answered is tried again."""
    keep_workspace(session, access)
    living = (ServiceRow.workspace_id == access.workspace_id, ServiceRow.name == check_service_name(body.name), ServiceRow.deleted_at.is_(None))
    row = session.scalars(select(ServiceRow).where(*living).with_for_update()).one_or_none()
    if row is not None and not body.overwrite and not _never_answered(row):
        raise Conflict(taken(body.name))
    if row is None:
        row = _new(session, access, parts, body)
        plan, pins = _first(session, access, body)
        add_revision(session, access, row, plan, body.settings, _origin(access, "deploy", body, pins=pins))
    else:
        _overwrite(session, access, row, body)
    showing.set_labels(session, row, "tag", body.tags)
    showing.set_labels(session, row, "property", body.properties)
    audit.record(session, access, "deploy", "service", row.id, row.name, revision=row.wanted_revision)
    CREATED.reach()
    parts.news.tell_after(session)
    return showing.again(session, row)


def change(session: Session, access: Access, parts: Context, row: ServiceRow, body: ServiceChange) -> Service:
    """`row` is locked. Raises UsageError, NotFound, Conflict while an earlier change is in progress (J6)."""
    _refuse_leaving(row)
    said = body.model_fields_set
    if body.rollback_to is not None:
        _roll_back(session, access, row, body)
    elif said & (PARTS | {"settings"}):
        _update(session, access, row, body)
    _change_facts(session, row, body)
    if body.auth is not None:
        _change_auth(session, parts, row, body)
    row.etag += 1
    audit.record(session, access, "update", "service", row.id, row.name, changed=sorted(said), revision=row.wanted_revision)
    CHANGED.reach()
    parts.news.tell_after(session)
    return showing.again(session, row)


def reload(session: Session, access: Access, parts: Context, row: ServiceRow, body: Reload) -> Service:
    """The same once more, in new processes (E7); or with another script."""
    _refuse_leaving(row)
    _refuse_second_change(session, row)
    base = _base(session, row)
    if body.code is not None and plans.Plan.model_validate(base.recipe).bundle:
        raise UsageError(f"The service {row.name!r} runs a ready-made bundle, so its script is not given apart; update it with another bundle.")
    plan = plans.following(session, access, revisions.plan_of(base), ServiceChange(code=body.code) if body.code else ServiceChange())
    add_revision(session, access, row, plan, revisions.settings_of(base), Origin(reason="reload", author=access.principal, like=_alike(base, plan)))
    row.etag += 1
    audit.record(session, access, "reload", "service", row.id, row.name, revision=row.wanted_revision)
    CHANGED.reach()
    parts.news.tell_after(session)
    return showing.again(session, row)


def delete(session: Session, access: Access, parts: Context, row: ServiceRow) -> Service:
    """It answers what is in hand, then it is gone; its name is free from then on."""
    if row.leaving_at is None:
        row.leaving_at, row.due_at = now(), now()
        row.state, row.message = State.STARTING.value, "It is being deleted: what is in hand is answered, then it ends."
        row.etag += 1
        events.note(session, row, "deleting", row.message)
        audit.record(session, access, "delete", "service", row.id, row.name)
    LEAVING.reach()
    parts.news.tell_after(session)
    return showing.again(session, row)


def add_revision(session: Session, access: Access, row: ServiceRow, plan: Plan, settings: Settings, origin: Origin) -> RevisionRow:
    refuse_missing(session, row.workspace_id, settings.secrets or [])
    added = revisions.add(session, row, plan, settings, origin)
    usage.begin(session, access.principal, row, added, plan)
    if row.serving_revision is None:
        row.state, row.message = State.STARTING.value, ""
    elif row.state == State.RUNNING.value:
        row.state = State.UPDATING.value
    events.note(session, row, origin.reason, f"Revision {added.number} is wanted by {access.principal}.", added.number)
    return added


def _first(session: Session, access: Access, body: NewService) -> tuple[Plan, dict[str, Any]]:
    """What a service is to be made of, and what of it is made already."""
    return _of_image(session, access, body) if body.image is not None else (plans.first(session, access, body), {})


def _of_image(session: Session, access: Access, body: NewService | ServiceChange) -> tuple[Plan, dict[str, Any]]:
    assert body.image is not None
    beside = sorted((PARTS - {"image", "sample_input", "sample_output"}) & {name for name in body.model_fields_set if getattr(body, name)})
    if beside:
        raise UsageError(f"An image holds everything that is served; leave out {', '.join(beside)}, or the image.")
    plan, pins = pinning.find(session, access, body.image)
    said: dict[str, Any] = {name: getattr(body, name) for name in ("sample_input", "sample_output") if name in body.model_fields_set}
    return plan.model_copy(update=said), pins


def _new(session: Session, access: Access, parts: Context, body: NewService) -> ServiceRow:
    endpoint = endpoints.make(parts.seal, access.workspace_id, body)
    at, identity = now(), new_id()
    row = ServiceRow(
        id=identity,
        workspace_id=access.workspace_id,
        endpoint_id=endpoint.id,
        name=body.name,
        handle=handle_of(identity),
        target=body.target,
        description=body.description,
        tags={},
        properties={},
        created_at=at,
        created_by=access.principal,
        updated_at=at,
        etag=1,
        serial=1,
        wanted_revision=0,
        generation=0,
        applied_generation=0,
        state=State.STARTING.value,
        lease_token=0,
        tries=0,
        message="",
    )
    session.add(endpoint)
    session.flush()
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:  # another request, at this moment
        raise Conflict(taken(body.name)) from error
    return row


def _never_answered(row: ServiceRow) -> bool:
    """Its first deploy failed: nobody calls it, so nothing is lost by another."""
    return row.serving_revision is None and row.state == State.FAILED.value and row.leaving_at is None


def _overwrite(session: Session, access: Access, row: ServiceRow, body: NewService) -> None:
    """As if it were new, but for its address, its keys and its history."""
    _refuse_leaving(row)
    _refuse_second_change(session, row)
    endpoint = session.get_one(EndpointRow, row.endpoint_id)
    endpoints.keep(endpoint, body)
    if body.auth is not None and body.auth != endpoint.auth:
        raise UsageError(f"The service {row.name!r} has auth {endpoint.auth}, which a deploy over it keeps; change it with `fairlead service update`.")
    if "target" in body.model_fields_set and body.target != row.target:
        raise UsageError(f"The service {row.name!r} runs on {row.target}, which a deploy over it keeps; leave the target out, or delete the service first.")
    plan, pins = _first(session, access, body)
    add_revision(session, access, row, plan, body.settings, _origin(access, "update", body, pins=pins))
    row.description = body.description
    row.etag += 1


def _update(session: Session, access: Access, row: ServiceRow, body: ServiceChange) -> None:
    _refuse_second_change(session, row)
    base = _base(session, row)
    plan, pins = (
        _of_image(session, access, body) if body.image is not None else (plans.following(session, access, revisions.plan_of(base), body), dict[str, Any]())
    )
    settings = _merged(base, body.settings)
    scales = not body.model_fields_set & PARTS and body.settings is not None and body.settings.model_fields_set <= SHAPE
    reason: Reason = "scale" if scales else "update"
    add_revision(session, access, row, plan, settings, _origin(access, reason, body, like=None if pins else _alike(base, plan), pins=pins))


def _roll_back(session: Session, access: Access, row: ServiceRow, body: ServiceChange) -> None:
    """Also while another change is in progress: it is how one gets out of that."""
    if body.model_fields_set & PARTS:
        raise UsageError("rollback_to goes back to what an earlier revision was made of; give nothing else with it but settings.")
    earlier = revisions.numbered(session, row, body.rollback_to)
    if earlier is None or earlier.number == row.serving_revision == row.wanted_revision:
        now_at = f"it has {row.wanted_revision}, and {row.serving_revision or 'none'} answers"
        raise NotFound(f"The service {row.name!r} has no earlier revision {body.rollback_to} ({now_at}); `fairlead service revisions` lists them.")
    wanted = revisions.numbered(session, row, row.wanted_revision)
    assert wanted is not None
    if wanted.state == "pending":
        revisions.supersede(session, row, wanted)
        usage.end(session, row, wanted)
    origin = Origin(reason="rollback", author=access.principal, git_commit=earlier.git_commit, git_dirty=earlier.git_dirty, like=earlier)
    add_revision(session, access, row, revisions.plan_of(earlier), _merged(earlier, body.settings), origin)


def _change_facts(session: Session, row: ServiceRow, body: ServiceChange) -> None:
    """Tags one by one (null removes one); properties are added, never changed."""
    if body.description is not None:
        row.description = body.description
    if body.tags:
        merged = row.tags | body.tags
        showing.set_labels(session, row, "tag", {key: value for key, value in merged.items() if value is not None})
    if body.properties:
        changed = next((key for key, value in body.properties.items() if row.properties.get(key, value) != value), None)
        if changed is not None:
            raise Conflict(f"The property {changed!r} of the service {row.name!r} is {row.properties[changed]!r} for good; use a tag for what changes.")
        showing.set_labels(session, row, "property", row.properties | body.properties)
    events.touch(row)


def _change_auth(session: Session, parts: Context, row: ServiceRow, body: ServiceChange) -> None:
    endpoint = session.get_one(EndpointRow, row.endpoint_id, with_for_update=True)
    if body.auth is not None and endpoints.change_auth(parts.seal, endpoint, body.auth):
        apply_anew(row)
        events.note(session, row, "auth-changed", f"Callers prove themselves by: {body.auth}.")


def apply_anew(row: ServiceRow) -> None:
    """Something that the target must know has changed."""
    row.generation += 1
    row.due_at = now()


def _refuse_leaving(row: ServiceRow) -> None:
    if row.leaving_at is not None:
        raise Conflict(f"The service {row.name!r} is being deleted; wait until it is gone, then deploy it again.")


def _refuse_second_change(session: Session, row: ServiceRow) -> None:
    wanted = revisions.numbered(session, row, row.wanted_revision)
    if wanted is not None and wanted.state == "pending":
        raise Conflict(
            f"Revision {wanted.number} of the service {row.name!r} is on its way ({wanted.stage}); wait for it (`fairlead service show`), "
            "or go back to an earlier one (`fairlead service rollback`), which is possible at any time."
        )


def _base(session: Session, row: ServiceRow) -> RevisionRow:
    """What an update starts from: what was wanted last, or, if that failed, what serves."""
    wanted = revisions.numbered(session, row, row.wanted_revision)
    assert wanted is not None, "a service has a wanted revision from its creation on"
    serving = revisions.numbered(session, row, row.serving_revision)
    return serving if wanted.state == "failed" and serving is not None else wanted


def _alike(base: RevisionRow, plan: Plan) -> RevisionRow | None:
    return base if plan.makes_the_same(revisions.plan_of(base)) else None


def _merged(base: RevisionRow, said: Settings | None) -> Settings:
    """An omitted one stays; null goes back to the default."""
    changes: dict[str, Any] = said.model_dump(mode="json", exclude_unset=True) if said else {}
    if changes.get("kept"):
        changes["kept"] = (base.settings.get("kept") or {}) | changes["kept"]
    return Settings.model_validate({key: value for key, value in (base.settings | changes).items() if value is not None})


def _origin(
    access: Access, reason: Reason, body: NewService | ServiceChange, *, like: RevisionRow | None = None, pins: Mapping[str, Any] | None = None
) -> Origin:
    return Origin(reason=reason, author=access.principal, git_commit=body.git_commit, git_dirty=body.git_dirty, like=like, pins=pins or {})

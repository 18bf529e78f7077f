"""Registering, showing, changing and deleting versions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, InUse
from fairlead.schemas.models import Lineage, ModelVersion, NewModelVersion, ResourceHints
from fairlead.schemas.references import Reference, parse_reference
from fairlead.server import audit, faults
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.conditional import check_tag
from fairlead.server.ids import new_id
from fairlead.server.registry import facts, history, names, uses
from fairlead.server.registry.files import TreeFacts
from fairlead.server.registry.history import Happening
from fairlead.server.tables.registry import ModelAliasRow, ModelRow, ModelVersionRow

NUMBERED = faults.FaultPoint("registry.register.numbered", "a version has its number, nothing else is written")
REGISTERED = faults.FaultPoint("registry.register.before-commit", "a version and all that is said of it are written, not committed")
DELETED = faults.FaultPoint("registry.delete.before-commit", "a version is marked as deleted, not committed")


def register(session: Session, access: Access, body: NewModelVersion, tree: TreeFacts) -> ModelVersion:
    """The next version of the name, which is new or not. Raises Conflict when the name is known in another spelling."""
    if body.lineage.parent is not None:
        parse_reference(body.lineage.parent)
    model_id, version, number = _take_number(session, access, body.name)
    NUMBERED.reach()
    row = _row(access, body, tree)
    row.model_id, row.version = model_id, version
    session.add(row)
    session.flush()
    facts.add(session, row)
    details = {"tree": row.tree, "run_id": row.run_id} if row.run_id else {"tree": row.tree}
    history.write(session, model_id, number, Happening(event=history.REGISTERED, by=access.principal, version=row, details=details))
    audit.record(session, access, "register", "model", row.id, f"{row.name}:{row.version}", tree=row.tree)
    session.flush()
    REGISTERED.reach()
    return to_wire(row, [])


def show(session: Session, workspace_id: str, asked: Reference) -> tuple[ModelVersionRow, ModelVersion]:
    row, aliases = names.version_and_aliases(session, workspace_id, asked)
    return row, to_wire(row, aliases)


def delete(session: Session, access: Access, row: ModelVersionRow, if_match: str | None) -> None:
    """Raises InUse while a service uses it or an alias names it."""
    history.hold(session, row.model_id)
    names.locked(session, row)
    check_tag(if_match, row, f"{row.name}:{row.version}")
    refuse_used(session, row)
    row.deleted_at = row.updated_at = now()
    row.etag += 1
    session.flush()
    facts.forget(session, [row.id])
    renew_model(session, row.model_id, removed=1)
    history.append(session, row.model_id, Happening(event=history.DELETED, by=access.principal, version=row))
    audit.record(session, access, "delete", "model", row.id, f"{row.name}:{row.version}")
    session.flush()
    DELETED.reach()


def refuse_used(session: Session, row: ModelVersionRow) -> None:
    users = uses.names_of(session, [row.id])
    if users:
        raise InUse(f"{row.name}:{row.version} is used by {', '.join(users)}; delete or update {'it' if len(users) == 1 else 'them'} first.", used_by=users)
    aliases = list(session.scalars(select(ModelAliasRow.alias).where(ModelAliasRow.version_id == row.id)))
    if aliases:
        raise InUse(
            f"{row.name}:{row.version} is {row.name}@{aliases[0]}; move the alias to another version with `fairlead model alias set`, or delete it first.",
            aliases=aliases,
        )


def renew_model(session: Session, model_id: str, *, removed: int = 0) -> None:
    """What the model's row says of its versions, after one was deleted, archived or brought back."""
    usable = select(func.coalesce(func.max(ModelVersionRow.version), 0)).where(
        ModelVersionRow.model_id == model_id, ModelVersionRow.deleted_at.is_(None), ModelVersionRow.archived_at.is_(None)
    )
    changed: dict[str, Any] = {"latest_version": usable.scalar_subquery(), "versions": ModelRow.versions - removed}
    session.execute(update(ModelRow).where(ModelRow.id == model_id).values(changed), execution_options={"synchronize_session": False})


def to_wire(row: ModelVersionRow, aliases: list[str], *, large: bool = True) -> ModelVersion:
    """large: with requirements, schema and samples."""
    return ModelVersion(
        id=row.id,
        created_at=row.created_at,
        created_by=row.created_by,
        name=row.name,
        version=row.version,
        tree=row.tree,
        size=row.size,
        files=row.files,
        updated_at=row.updated_at,
        description=row.description,
        tags=row.tags,
        properties=row.properties,
        metrics=row.metrics,
        aliases=aliases,
        framework=row.framework,
        framework_version=row.framework_version,
        flavor=row.flavor,
        requirements=row.requirements if large else [],
        python=row.python,
        model_schema=row.model_schema if large else None,
        sample_input=row.sample_input if large else None,
        sample_output=row.sample_output if large else None,
        lineage=Lineage.model_validate(row.lineage),
        resources=ResourceHints.model_validate(row.resources) if row.resources else None,
        archived=row.archived_at is not None,
        stage=row.stage,
    )


def _take_number(session: Session, access: Access, name: str) -> tuple[str, int, int]:
    """(model's id, version, number of the event). Whoever comes next waits at the model's row until this transaction ends, so no number is lost."""
    taken = _count_on(session, access.workspace_id, name)
    if taken is None:
        _add_model(session, access, name)
        taken = _count_on(session, access.workspace_id, name)
    if taken is None:
        raise Conflict(f"The model {name!r} was deleted at this moment; register it again.")
    model_id, spelled, version, number = taken
    if spelled != name:
        raise Conflict(f"There is a model {spelled!r}, and names that differ only in case are one; write it so, or choose another name.")
    return model_id, version, number


def _count_on(session: Session, workspace_id: str, name: str) -> tuple[str, str, int, int] | None:
    next_version = ModelRow.last_version + 1
    counted = {
        "last_version": next_version,
        "latest_version": next_version,
        "versions": ModelRow.versions + 1,
        "last_event": ModelRow.last_event + 1,
        "updated_at": now(),
    }
    counting = update(ModelRow).where(names.is_named(workspace_id, name)).values(counted)
    answered = counting.returning(ModelRow.id, ModelRow.name, ModelRow.last_version, ModelRow.last_event)
    return session.execute(answered, execution_options={"synchronize_session": False}).one_or_none()


def _add_model(session: Session, access: Access, name: str) -> None:
    """Silent when somebody else was faster."""
    at = now()
    row = ModelRow(id=new_id(), workspace_id=access.workspace_id, name=name, folded=name.lower(), created_at=at, created_by=access.principal, updated_at=at)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:  # on PostgreSQL, after waiting for the other transaction
        return


def _row(access: Access, body: NewModelVersion, tree: TreeFacts) -> ModelVersionRow:
    at = now()
    said = body.model_dump(exclude={"lineage", "resources"})
    return ModelVersionRow(
        **said,
        id=new_id(),
        workspace_id=access.workspace_id,
        size=tree.size,
        files=tree.files,
        run_id=body.lineage.run_id,
        lineage=body.lineage.model_dump(),
        resources=body.resources.model_dump() if body.resources else None,
        stage=history.REGISTERED,
        created_at=at,
        updated_at=at,
        created_by=access.principal,
        etag=1,
    )

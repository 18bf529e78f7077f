"""Batch services: defined, replaced, deleted, and found by name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, NotFound
from fairlead.schemas.batch_services import INPUT, OUTPUT, BatchService, NewBatchService, Parameter
from fairlead.schemas.jobs import Scoring
from fairlead.schemas.wire import Page
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts.secrets import refuse_missing
from fairlead.server.accounts.workspaces import keep_workspace
from fairlead.server.clock import now
from fairlead.server.faults import FaultPoint
from fairlead.server.ids import new_id
from fairlead.server.jobs import engines, naming, usage
from fairlead.server.making import plans
from fairlead.server.making.plans import Plan
from fairlead.server.paging import Paging, page
from fairlead.server.registry.uses import User
from fairlead.server.tables.jobs import BatchServiceRow, JobRow

DEFINED = FaultPoint("batch-services.define.before-commit", "a batch service is defined, and not yet committed")
DELETED = FaultPoint("batch-services.delete.before-commit", "a batch service is deleted, and not yet committed")
OF_SETTINGS = (*Scoring.model_fields, "input_format", "input_options", "output_format", "keep")
OF_A_MODEL = (Parameter(id=INPUT), Parameter(id=OUTPUT, direction="Output", default="output:scores"))
_LETTERS = {("Reference", "Input"): "in", ("Reference", "Output"): "out", ("Value", "Input"): "param"}


def define(session: Session, access: Access, body: NewBatchService) -> BatchService:
    """New, or in the place of the one of its name where that is wanted; jobs that run go on as they are. Raises Conflict, NotFound, UsageError."""
    keep_workspace(session, access)
    refuse_missing(session, access.workspace_id, body.secrets)
    engines.resolve(session, access, body.engine)
    row = living(session, access, body.name, lock=True)
    if row is not None and not body.overwrite:
        raise Conflict(f"There is a batch service {body.name!r} already; replace it (--overwrite), or choose another name.")
    plan = plans.of_driver(session, access, body)
    action = "create" if row is None else "replace"
    row = _new(session, access, body) if row is None else row
    _write(session, access, row, body, plan)
    audit.record(session, access, action, "batch-service", row.id, row.name, version=row.version, models=row.models)
    DEFINED.reach()
    return to_wire(row)


def delete(session: Session, access: Access, row: BatchServiceRow) -> None:
    """`row` is locked. Its jobs stay, and those that run go on."""
    row.deleted_at = now()
    row.etag += 1
    usage.end(session, access.principal, row.id)
    audit.record(session, access, "delete", "batch-service", row.id, row.name)
    DELETED.reach()


def find(session: Session, access: Access, name: str, *, lock: bool = False) -> BatchServiceRow:
    """The living one of this name. Raises NotFound."""
    row = living(session, access, name, lock=lock)
    if row is None:
        raise NotFound(f"There is no batch service {name[:130]!r} in the workspace {access.workspace!r}; `fairlead service list batch` shows those there are.")
    return row


def find_job(session: Session, access: Access, name: str, job: str, *, lock: bool = False) -> JobRow:
    """A job of this service, by its name or id. Raises NotFound."""
    return naming.find(session, access, job, lock=lock, scope=find(session, access, name).id)


def living(session: Session, access: Access, name: str, *, lock: bool) -> BatchServiceRow | None:
    chosen = select(BatchServiceRow).where(BatchServiceRow.workspace_id == access.workspace_id, BatchServiceRow.name == name, _lives())
    return session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()


def list_services(session: Session, access: Access, paging: Paging) -> Page[BatchService]:
    """By name."""
    chosen = select(BatchServiceRow).where(BatchServiceRow.workspace_id == access.workspace_id, _lives())
    return page(session, chosen, [BatchServiceRow.name], paging, to_wire)


def definition_of(row: BatchServiceRow) -> NewBatchService:
    return NewBatchService.model_validate(row.definition)


def parameters_of(body: NewBatchService) -> list[Parameter]:
    """As declared; of a model's service --input and --output, whatever is said of their defaults."""
    if body.driver is not None:
        return body.parameters
    said = {each.id: each for each in body.parameters}
    return [own.model_copy(update={"default": said[own.id].default}) if own.id in said else own for own in OF_A_MODEL]


def to_wire(row: BatchServiceRow) -> BatchService:
    body = definition_of(row)
    parameters = parameters_of(body)
    said = {name: getattr(row, name) for name in ("id", "created_at", "created_by", "name", "kind", "version", "models", "tags", "updated_at")}
    derived = {
        "title": body.title or row.name,
        "driver": body.driver,
        "code": body.code,
        "script": body.script,
        "parameters": parameters,
        "environment": (row.recipe.get("environment") or {}).get("name"),
        "settings": body.model_dump(mode="json", include=set(OF_SETTINGS), exclude_defaults=True),
        "usage": usage_line(row.name, parameters),
        "description": body.description,
    }
    return BatchService.model_validate(said | derived)


def usage_line(name: str, parameters: list[Parameter]) -> str:
    """What may be left out stands in brackets."""
    words = [f"fairlead service run batch -n {name}"]
    for each in parameters:
        word = f"--{_LETTERS[each.kind, each.direction]}={each.id}:VALUE"
        words.append(word if each.default is None else f"[{word}]")
    return " ".join([*words, "[-j JOB_ID]", "[-w]"])


def _lives() -> Any:
    return BatchServiceRow.deleted_at.is_(None)


def _new(session: Session, access: Access, body: NewBatchService) -> BatchServiceRow:
    at = now()
    said = {"version": 0, "definition": {}, "recipe": {}, "models": [], "tags": {}, "etag": 0}
    row = BatchServiceRow(
        id=new_id(), workspace_id=access.workspace_id, name=body.name, kind="score", created_at=at, created_by=access.principal, updated_at=at, **said
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:  # another request, at this moment
        raise Conflict(f"There is a batch service {body.name!r} already; replace it (--overwrite), or choose another name.") from error
    return row


def _write(session: Session, access: Access, row: BatchServiceRow, body: NewBatchService, plan: Plan) -> None:
    usage.end(session, access.principal, row.id)
    row.version += 1
    row.kind = "program" if body.driver is not None else "score"
    row.definition = body.model_dump(mode="json", exclude_defaults=True, exclude={"overwrite"})
    row.recipe = plan.model_dump(mode="json", exclude_defaults=True)
    row.models = [each.reference for each in plan.models]
    row.tags = body.tags
    row.updated_at = now()
    row.etag += 1
    usage.begin(session, access.principal, User(kind=usage.BATCH_SERVICE, object_id=row.id, name=row.name, revision=row.version), plan)

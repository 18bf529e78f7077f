"""Changing what is said of a version. Tags come and go; properties and data sets are only ever added; each change is an event."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from fairlead.errors import Conflict, TooLarge
from fairlead.schemas.models import DatasetReference, ModelChange
from fairlead.server import audit, faults
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.conditional import check_tag
from fairlead.server.registry import facts, history, names, versions
from fairlead.server.registry.history import Happening
from fairlead.server.tables.registry import ModelVersionRow

CHANGED = faults.FaultPoint("registry.change.before-commit", "a version is changed, not committed")
MOST = {"tags": 200, "properties": 200, "metrics": 500, "datasets": 100}


def change(session: Session, access: Access, row: ModelVersionRow, body: ModelChange, if_match: str | None) -> None:
    """The row, changed. Raises Changed, Conflict for a property that has another value, TooLarge for more than a version can hold."""
    history.hold(session, row.model_id)
    names.locked(session, row)
    check_tag(if_match, row, f"{row.name}:{row.version}")
    said = body.model_dump(exclude_unset=True)
    details = _apply(row, body, said)
    row.updated_at = now()
    row.etag += 1
    session.flush()
    if said.keys() & {"tags", "properties", "metrics", "datasets"}:
        facts.write(session, row)
    if details:
        history.append(session, row.model_id, Happening(event=history.CHANGED, by=access.principal, version=row, details=details))
    if body.archived is not None and body.archived != (row.archived_at is not None):
        _archive(session, access, row, archived=body.archived)
    audit.record(session, access, "change", "model", row.id, f"{row.name}:{row.version}", fields=sorted(said))
    session.flush()
    CHANGED.reach()


def _apply(row: ModelVersionRow, body: ModelChange, said: dict[str, Any]) -> dict[str, Any]:
    """What the event tells: labels and metrics with their new values, the rest by name."""
    told: dict[str, Any] = {}
    if body.tags:
        row.tags = facts.merged(row.tags, body.tags)
        told["tags"] = body.tags
    if body.properties:
        row.properties = _added(row, body.properties)
        told["properties"] = body.properties
    if body.metrics:
        row.metrics = {**row.metrics, **body.metrics}
        told["metrics"] = body.metrics
    if body.datasets:
        row.lineage = {**row.lineage, "datasets": _with_datasets(row, body.datasets)}
        told["datasets"] = said["datasets"]
    fields = [name for name in ("description", "sample_input", "sample_output", "resources") if name in said]
    for name in fields:
        setattr(row, name, "" if name == "description" and said[name] is None else said[name])
    _refuse_too_many(row)
    return told | ({"fields": fields} if fields else {})


def _added(row: ModelVersionRow, properties: dict[str, str]) -> dict[str, str]:
    for name, value in properties.items():
        if row.properties.get(name, value) != value:
            raise Conflict(
                f"The property {name!r} of {row.name}:{row.version} is {row.properties[name][:100]!r} for good; properties can be added, not changed. "
                "Use a tag for what changes."
            )
    return {**row.properties, **properties}


def _with_datasets(row: ModelVersionRow, added: list[DatasetReference]) -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = list(row.lineage["datasets"])
    return known + [each for each in (dataset.model_dump() for dataset in added) if each not in known]


def _refuse_too_many(row: ModelVersionRow) -> None:
    counts = {"tags": len(row.tags), "properties": len(row.properties), "metrics": len(row.metrics), "datasets": len(row.lineage["datasets"])}
    for name, count in counts.items():
        if count > MOST[name]:
            raise TooLarge(f"{row.name}:{row.version} would have {count} {name}; {MOST[name]} are the most.")


def _archive(session: Session, access: Access, row: ModelVersionRow, *, archived: bool) -> None:
    row.archived_at = now() if archived else None
    session.flush()
    event = history.ARCHIVED if archived else history.UNARCHIVED
    history.append(session, row.model_id, Happening(event=event, by=access.principal, version=row))
    versions.renew_model(session, row.model_id)

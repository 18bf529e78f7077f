"""What is searched for, one row per fact: tags, properties, data sets, metrics of the versions that are not deleted."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping

from sqlalchemy import delete
from sqlalchemy.orm import Session

from fairlead.schemas.models import Lineage
from fairlead.server.db import slices
from fairlead.server.tables.registry import LONGEST_VALUE, ModelLabelRow, ModelMetricRow, ModelVersionRow

TAG, PROPERTY, DATASET = "tag", "property", "dataset"
_KEPT = LONGEST_VALUE - 65


def write(session: Session, row: ModelVersionRow) -> None:
    """Anew, from what the version's row says."""
    session.execute(delete(ModelLabelRow).where(ModelLabelRow.version_id == row.id))
    session.execute(delete(ModelMetricRow).where(ModelMetricRow.version_id == row.id))
    add(session, row)


def add(session: Session, row: ModelVersionRow) -> None:
    """Of a version that has none yet."""
    labels = [(TAG, *pair) for pair in row.tags.items()] + [(PROPERTY, *pair) for pair in row.properties.items()]
    labels += [(DATASET, *pair) for pair in _datasets(Lineage.model_validate(row.lineage))]
    session.add_all(_label(row, *label) for label in dict.fromkeys(labels))
    session.add_all(_metric(row, *pair) for pair in row.metrics.items())


def forget(session: Session, version_ids: Iterable[str]) -> None:
    for part in slices(list(version_ids)):
        session.execute(delete(ModelLabelRow).where(ModelLabelRow.version_id.in_(part)))
        session.execute(delete(ModelMetricRow).where(ModelMetricRow.version_id.in_(part)))


def searchable(value: str) -> str:
    """A value as the index holds it: an index takes no text of any length, so a long one is its beginning and its digest."""
    if len(value) <= LONGEST_VALUE - 1:
        return value
    return f"{value[:_KEPT]} {hashlib.sha256(value.encode()).hexdigest()}"


def number_in(value: str) -> float | None:
    """The number that a tag such as rmse=4.2 states, so that it can be compared as one."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in value else None


def _datasets(lineage: Lineage) -> Iterable[tuple[str, str]]:
    for each in lineage.datasets:
        yield "name", each.name
        if each.digest:
            yield "digest", each.digest


def _label(row: ModelVersionRow, kind: str, key: str, value: str) -> ModelLabelRow:
    return ModelLabelRow(version_id=row.id, workspace_id=row.workspace_id, kind=kind, key=key, value=searchable(value), number=number_in(value))


def _metric(row: ModelVersionRow, name: str, value: float) -> ModelMetricRow:
    return ModelMetricRow(version_id=row.id, workspace_id=row.workspace_id, name=name, value=value)


def merged(old: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The labels after the changes; null removes one."""
    return {name: value for name, value in (dict(old) | dict(changes)).items() if value is not None}

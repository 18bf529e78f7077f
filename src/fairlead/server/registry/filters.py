"""Filters as SQL. Nothing of what a caller says becomes SQL text: values are bound, names are columns of ours.

A filter that an index can answer has sources: the ids of its versions. `sources` says how a search chooses among them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Double, Select, String, and_, column, literal, not_, or_, select, table
from sqlalchemy.orm import InstrumentedAttribute

from fairlead.server.registry import facts
from fairlead.server.registry.expressions import Both, Comparison, Expression, Negation
from fairlead.server.tables.registry import ModelLabelRow, ModelMetricRow, ModelRow, ModelVersionRow

CANDIDATES = table("candidates", column("id", String))
"""What the search calls the versions of which it asks whether they fit."""
_KINDS = {"tags": facts.TAG, "properties": facts.PROPERTY}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_COLUMNS: dict[str, InstrumentedAttribute[Any]] = {
    column.key: column
    for column in (
        ModelVersionRow.version, ModelVersionRow.size, ModelVersionRow.framework, ModelVersionRow.framework_version, ModelVersionRow.flavor,
        ModelVersionRow.run_id, ModelVersionRow.stage, ModelVersionRow.created_at, ModelVersionRow.created_by,
    )
}  # fmt: skip
_BY_INDEX = ("=", "<", "<=", ">", ">=")
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_INDEXED = ("framework", "run_id", "created_at")


@dataclass(frozen=True)
class Source:
    """Ids of versions that an index finds. `order`: what that index, and no other, is ordered by behind the values that are asked for.

    Reading in that order keeps PostgreSQL, whose statistics do not know which values belong to which metric, from reading the table instead.
    newest_first: all of `order` is the same in all that are found, so that read backwards the index has the newest first.
    """

    ids: Select[str]
    order: tuple[InstrumentedAttribute[Any], ...] = ()
    newest_first: bool = False


@dataclass(frozen=True)
class Filter:
    """`condition`: of a row of model_versions if `of_row`, otherwise of CANDIDATES alone. `lookups`: how many comparisons it makes.

    `sources`: together they hold all versions that fit, and maybe more; none where no index helps.
    """

    condition: ColumnElement[bool]
    sources: tuple[Source, ...] = ()
    of_row: bool = True
    lookups: int = 1

    @property
    def newest_first(self) -> bool:
        return all(source.newest_first for source in self.sources)


def filters_of(expression: Expression, workspace_id: str) -> Iterator[Filter]:
    """One for each part that must hold in any case."""
    if isinstance(expression, Both):
        for part in expression.parts:
            yield from filters_of(part, workspace_id)
    else:
        yield filter_of(expression, workspace_id)


def filter_of(asked: Expression, workspace_id: str) -> Filter:
    if isinstance(asked, Comparison):
        return comparison(asked, workspace_id)
    if isinstance(asked, Negation):
        part = filter_of(asked.part, workspace_id)
        return replace(part, condition=not_(part.condition), sources=())
    parts = [filter_of(part, workspace_id) for part in asked.parts]
    of_row, lookups = any(part.of_row for part in parts), sum(part.lookups for part in parts)
    if isinstance(asked, Both):
        return Filter(and_(*(part.condition for part in parts)), next((part.sources for part in parts if part.sources), ()), of_row, lookups)
    every = all(part.sources for part in parts)
    return Filter(or_(*(part.condition for part in parts)), tuple(source for part in parts for source in part.sources) if every else (), of_row, lookups)


def comparison(asked: Comparison, workspace_id: str) -> Filter:
    if asked.subject == "metrics":
        return _metric(asked, workspace_id)
    if asked.subject in _KINDS:
        return _label(asked, workspace_id)
    if asked.subject == "name":
        return _name(asked, workspace_id)
    column = _COLUMNS[asked.subject]
    condition = and_(column.is_not(None), _compared(column, asked))
    if asked.subject not in _INDEXED or asked.operator not in _BY_INDEX:
        return Filter(condition)
    return Filter(condition, (Source(_ids_of_versions(workspace_id, condition), (ModelVersionRow.created_at,)),))


def label(workspace_id: str, kind: str, key: str, value: str | None = None) -> Filter:
    """Without `value`: whether it is there at all."""
    named = and_(ModelLabelRow.kind == kind, ModelLabelRow.key == key)
    if value is not None:
        return _has(ModelLabelRow.version_id, and_(named, ModelLabelRow.value == facts.searchable(value)), _labelled(workspace_id, named, value))
    source = select(ModelLabelRow.version_id).where(ModelLabelRow.workspace_id == workspace_id, named)
    return _has(ModelLabelRow.version_id, named, Source(source, (ModelLabelRow.value, ModelLabelRow.number)))


def dataset(workspace_id: str, said: str) -> Filter:
    """By name or digest."""
    either = [and_(ModelLabelRow.kind == facts.DATASET, ModelLabelRow.key == key) for key in ("name", "digest")]
    fits = and_(or_(*either), ModelLabelRow.value == facts.searchable(said))
    return _has(ModelLabelRow.version_id, fits, *(_labelled(workspace_id, named, said) for named in either))


def named(workspace_id: str, name: str) -> Filter:
    """The versions of one name, or with a trailing `*` of all that begin so; case does not count."""
    return _of_models(workspace_id, name_condition(name))


def name_condition(name: str) -> ColumnElement[bool]:
    folded = name.lower()
    if folded.endswith("*"):
        return prefix_condition(folded[:-1])
    return ModelRow.folded == folded


def prefix_condition(folded: str) -> ColumnElement[bool]:
    """By a range, which an index answers; names are ASCII."""
    return and_(ModelRow.folded >= folded, ModelRow.folded < f"{folded}\x7f")


def equal(workspace_id: str, column: InstrumentedAttribute[Any], value: str) -> Filter:
    condition = column == value
    return Filter(condition, (Source(_ids_of_versions(workspace_id, condition), (ModelVersionRow.created_at,)),))


def latest() -> Filter:
    newest = select(ModelRow.id).where(ModelRow.id == ModelVersionRow.model_id, ModelRow.latest_version == ModelVersionRow.version).limit(1)
    return Filter(newest.correlate(ModelVersionRow).scalar_subquery().is_not(None))


def not_archived() -> Filter:
    return Filter(ModelVersionRow.archived_at.is_(None), lookups=0)


def archived(workspace_id: str) -> Filter:
    """Only those; they are few, or one would not archive."""
    column = ModelVersionRow.archived_at
    return Filter(column.is_not(None), (Source(_ids_of_versions(workspace_id, column > _LONG_AGO), (column,)),))


def _metric(asked: Comparison, workspace_id: str) -> Filter:
    named, value = ModelMetricRow.name == asked.key, _compared(ModelMetricRow.value, asked)
    source = select(ModelMetricRow.version_id).where(ModelMetricRow.workspace_id == workspace_id, named)
    by_index = source.where(value) if asked.operator in _BY_INDEX else source
    order = (ModelMetricRow.value, ModelMetricRow.version_id)
    found = Source(by_index, order[:1], newest_first=True) if asked.operator == "=" else Source(by_index, order)
    return _has(ModelMetricRow.version_id, and_(named, value), found)


def _label(asked: Comparison, workspace_id: str) -> Filter:
    """A number compares with the number that the label states, a text with its text."""
    if asked.operator == "=" and isinstance(asked.value, str):
        return label(workspace_id, _KINDS[asked.subject], asked.key, asked.value)
    column: InstrumentedAttribute[Any] = ModelLabelRow.value
    other: InstrumentedAttribute[Any] = ModelLabelRow.number
    if isinstance(asked.value, float):
        column, other = other, column
    text = facts.searchable(str(asked.value)) if asked.operator == "!=" else asked.value
    value = _compared(column, asked if isinstance(asked.value, float) else replace(asked, value=text))
    named = and_(ModelLabelRow.kind == _KINDS[asked.subject], ModelLabelRow.key == asked.key)
    source = select(ModelLabelRow.version_id).where(ModelLabelRow.workspace_id == workspace_id, named)
    by_index = source.where(value) if asked.operator in _BY_INDEX else source
    return _has(ModelLabelRow.version_id, and_(named, column.is_not(None), value), Source(by_index, (column, other)))


def _labelled(workspace_id: str, named: ColumnElement[bool], value: str) -> Source:
    """By the whole value: what number it states, if any, is known then, too."""
    number = facts.number_in(value)
    whole = and_(ModelLabelRow.value == facts.searchable(value), ModelLabelRow.number.is_(None) if number is None else ModelLabelRow.number == number)
    ids = select(ModelLabelRow.version_id).where(ModelLabelRow.workspace_id == workspace_id, named, whole)
    return Source(ids, (ModelLabelRow.value, ModelLabelRow.number), newest_first=True)


def _has(version_id: InstrumentedAttribute[str], fact: ColumnElement[bool], *found: Source) -> Filter:
    """Whether the version has such a fact: looked up by its id. An EXISTS would let PostgreSQL read all facts of all versions first."""
    looked_up = select(version_id).where(version_id == CANDIDATES.c.id, fact).limit(1)
    return Filter(looked_up.correlate(CANDIDATES).scalar_subquery().is_not(None), found, of_row=False)


def _compared(column: InstrumentedAttribute[Any], asked: Comparison) -> ColumnElement[bool]:
    if asked.operator == "like":
        return column.ilike(str(asked.value), escape="\\")
    value = literal(asked.value, Double) if isinstance(asked.value, float) else asked.value  # else 2.5 would be cast to the column's whole number
    compared: ColumnElement[bool] = _COMPARE[asked.operator](column, value)
    return compared


def _name(asked: Comparison, workspace_id: str) -> Filter:
    text = str(asked.value).lower()
    if asked.operator == "=":
        return _of_models(workspace_id, ModelRow.folded == text)
    if asked.operator == "like" and text.endswith("%") and not set(text[:-1]) & set("%_\\"):
        return _of_models(workspace_id, prefix_condition(text[:-1]))
    return Filter(_of_models(workspace_id, _compared(ModelRow.folded, replace(asked, value=text))).condition)


def _of_models(workspace_id: str, condition: ColumnElement[bool]) -> Filter:
    living = and_(ModelRow.workspace_id == workspace_id, ModelRow.deleted_at.is_(None), condition)
    ids = select(ModelRow.id).where(living)
    source = select(ModelVersionRow.id).join(ModelRow, ModelRow.id == ModelVersionRow.model_id).where(living)
    return Filter(ModelVersionRow.model_id.in_(ids), (Source(source),))


def _ids_of_versions(workspace_id: str, condition: ColumnElement[bool]) -> Select[str]:
    return select(ModelVersionRow.id).where(ModelVersionRow.workspace_id == workspace_id, ModelVersionRow.deleted_at.is_(None), condition)

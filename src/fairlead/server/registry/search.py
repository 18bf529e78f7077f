"""Lists of models and versions. Every filter goes through an index; two statements at most, and a bounded part of the rows, however many there are."""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, cast, func, select
from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.schemas.models import Model, ModelVersion
from fairlead.schemas.search import Search
from fairlead.schemas.wire import Page
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.registry import expressions, filters, names, sources, versions
from fairlead.server.registry.facts import PROPERTY, TAG
from fairlead.server.registry.filters import Filter
from fairlead.server.tables.registry import ModelAliasRow, ModelRow, ModelVersionRow


def list_models(session: Session, workspace_id: str, name: str | None, paging: Paging) -> Page[Model]:
    """By name."""
    aliases = select(func.aggregate_strings(_alias_and_version(), ",")).where(ModelAliasRow.model_id == ModelRow.id)
    chosen = select(ModelRow, aliases.correlate(ModelRow).scalar_subquery()).where(ModelRow.workspace_id == workspace_id, ModelRow.deleted_at.is_(None))
    if name is not None:
        chosen = chosen.where(filters.name_condition(name))
    keys = [ModelRow.folded]
    rows = page_rows(session, chosen, keys, paging)
    return Page(items=[model_to_wire(row, aliased) for row, aliased in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def show_model(session: Session, workspace_id: str, name: str) -> Model:
    """Raises NotFound."""
    page = list_models(session, workspace_id, name.rstrip("*"), Paging(1, None))
    if not page.items:
        raise names.no_model(name)
    return page.items[0]


def list_versions(session: Session, model: ModelRow, paging: Paging) -> Page[ModelVersion]:
    """Of one name, newest first, archived ones too."""
    keys = [ModelVersionRow.version]
    rows = page_rows(session, names.version_rows().where(ModelVersionRow.model_id == model.id), keys, paging, newest_first=True)
    items = [versions.to_wire(row, names.aliases_in(aliases), large=False) for row, aliases in rows[: paging.limit]]
    return Page(items=items, next=cursor_after(rows, keys, paging))


def search(session: Session, workspace_id: str, asked: Search, paging: Paging) -> Page[ModelVersion]:
    """Newest first; a page may end early (`sources`). Raises UsageError for a filter that cannot be read."""
    found = sources.page_of(session, workspace_id, list(_filters(workspace_id, asked)), paging)
    items = [versions.to_wire(row, names.aliases_in(aliases), large=False) for row, aliases, _ in found.rows[: paging.limit]]
    return Page(items=items, next=found.next)


def model_to_wire(row: ModelRow, aliased: str | None) -> Model:
    pairs = [each.split(":") for each in aliased.split(",")] if aliased else []
    return Model(
        id=row.id,
        created_at=row.created_at,
        created_by=row.created_by,
        name=row.name,
        latest_version=row.latest_version,
        versions=row.versions,
        updated_at=row.updated_at,
        aliases={alias: int(version) for alias, version in sorted(pairs)},
    )


def _filters(workspace_id: str, asked: Search) -> list[Filter]:
    found = [filters.named(workspace_id, asked.name)] if asked.name else []
    found += [_label(workspace_id, TAG, each) for each in asked.tags]
    found += [_label(workspace_id, PROPERTY, each) for each in asked.properties]
    if asked.framework is not None:
        found.append(filters.equal(workspace_id, ModelVersionRow.framework, asked.framework))
    if asked.run_id is not None:
        found.append(filters.equal(workspace_id, ModelVersionRow.run_id, asked.run_id))
    if asked.dataset is not None:
        found.append(filters.dataset(workspace_id, asked.dataset))
    if asked.latest:
        found.append(filters.latest())
    if asked.archived is not None:
        found.append(filters.archived(workspace_id) if asked.archived else filters.not_archived())
    if asked.where is not None:
        found += filters.filters_of(expressions.parse(asked.where), workspace_id)
    return found


def _label(workspace_id: str, kind: str, said: str) -> Filter:
    key, equals, value = said.partition("=")
    if not key:
        raise UsageError(f"{kind}: {said!r} names no {kind}; write KEY or KEY=VALUE.")
    return filters.label(workspace_id, kind, key, value if equals else None)


def _alias_and_version() -> ColumnElement[str]:
    return ModelAliasRow.alias + ":" + cast(ModelAliasRow.version, String)

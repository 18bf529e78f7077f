"""Finding a model by its name, and a version by number, `latest` or `@alias`: one statement each, and a second one only to say what is missing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, func, select
from sqlalchemy.orm import Session, defer, undefer

from fairlead.errors import NotFound
from fairlead.schemas.references import LATEST, Reference, check_version
from fairlead.server.tables.registry import ModelAliasRow, ModelRow, ModelVersionRow

_LARGE = (ModelVersionRow.requirements, ModelVersionRow.model_schema, ModelVersionRow.sample_input, ModelVersionRow.sample_output)


def model_named(session: Session, workspace_id: str, name: str) -> ModelRow:
    """Raises NotFound."""
    row = session.scalars(select(ModelRow).where(is_named(workspace_id, name))).one_or_none()
    if row is None:
        raise no_model(name)
    return row


def version_of(session: Session, workspace_id: str, asked: Reference) -> ModelVersionRow:
    """With all its columns. Raises NotFound."""
    row, _ = version_and_aliases(session, workspace_id, asked)
    return row


def version_and_aliases(session: Session, workspace_id: str, asked: Reference) -> tuple[ModelVersionRow, list[str]]:
    chosen = version_rows(large=True).join(ModelRow, ModelRow.id == ModelVersionRow.model_id).where(is_named(workspace_id, asked.name), _is(asked.version))
    found = session.execute(chosen).one_or_none()
    if found is None:
        raise _missing(session, workspace_id, asked)
    return found[0], aliases_in(found[1])


def locked(session: Session, row: ModelVersionRow) -> ModelVersionRow:
    """The row as it is now that its model's row is held (`history.number_next`). Raises NotFound when it was deleted meanwhile."""
    session.refresh(row, with_for_update=True)
    if row.deleted_at is not None:
        raise NotFound(f"{row.name}:{row.version} was deleted meanwhile; `fairlead model versions {row.name}` shows those there are.")
    return row


def version_rows(*, large: bool = False) -> Select[ModelVersionRow, str | None]:
    """Living versions, each with its aliases in one text; `aliases_in` reads that."""
    return version_columns(large=large).where(ModelVersionRow.deleted_at.is_(None))


def version_columns(*, large: bool = False) -> Select[ModelVersionRow, str | None]:
    """The same of whatever versions, and in whatever order, the caller says."""
    how = undefer if large else defer
    return select(ModelVersionRow, _aliases()).options(*(how(column) for column in _LARGE))


def aliases_in(text: str | None) -> list[str]:
    return sorted(text.split(",")) if text else []


def is_named(workspace_id: str, name: str) -> ColumnElement[bool]:
    return and_(ModelRow.workspace_id == workspace_id, ModelRow.folded == name.lower(), ModelRow.deleted_at.is_(None))


def no_model(name: str) -> NotFound:
    return NotFound(f"There is no model {name[:255]!r} in this workspace; `fairlead model list` shows those there are.")


def _aliases() -> ScalarSelect[Any]:
    return (
        select(func.aggregate_strings(ModelAliasRow.alias, ","))
        .where(ModelAliasRow.version_id == ModelVersionRow.id)
        .correlate(ModelVersionRow)
        .scalar_subquery()
    )


def _is(version: str) -> ColumnElement[bool]:
    check_version(version)
    if version == LATEST:
        return ModelVersionRow.version == ModelRow.latest_version
    if version.startswith("@"):
        aliased = select(ModelAliasRow.version_id).where(ModelAliasRow.model_id == ModelRow.id, ModelAliasRow.alias == version[1:])
        return ModelVersionRow.id == aliased.correlate(ModelRow).scalar_subquery()
    return ModelVersionRow.version == int(version)


def _missing(session: Session, workspace_id: str, asked: Reference) -> NotFound:
    model = model_named(session, workspace_id, asked.name)
    if asked.version.startswith("@"):
        return no_alias(model.name, asked.version[1:])
    if asked.version == LATEST:
        why = "all its versions are archived or deleted" if model.last_version else "it has no versions"
        return NotFound(f"The model {model.name!r} has no latest version: {why}. `fairlead model versions {model.name}` shows them; name one by its number.")
    return NotFound(f"There is no {asked}; {_known(model)}. `fairlead model versions {model.name}` shows them.")


def no_alias(name: str, alias: str) -> NotFound:
    return NotFound(f"The model {name!r} has no alias {alias!r}; `fairlead model alias list {name}` shows those there are.")


def _known(model: ModelRow) -> str:
    if not model.versions:
        return f"{model.name!r} has no versions left"
    return f"{model.name!r} has {model.versions} version{'s' if model.versions > 1 else ''}, the last registered is {model.last_version}"

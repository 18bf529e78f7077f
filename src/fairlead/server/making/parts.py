"""What a plan refers to by name: versions of models, and registered environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError
from fairlead.schemas.references import parse_reference
from fairlead.schemas.services import EnvironmentWish
from fairlead.server.access import Access
from fairlead.server.environments import service as environments
from fairlead.server.registry import names
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.registry import ModelVersionRow


class PlannedModel(BaseModel):
    """A version of a model, and what packaging needs to know of it."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    id: str
    model_id: str
    name: str
    version: int
    tree: str
    requirements: list[str] = []
    python: str | None = None
    model_schema: dict[str, Any] | None = None
    sample_input: str | None = None
    sample_output: str | None = None

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.version}"


class PlannedEnvironment(BaseModel):
    """`id` and `name` (`name:version`) of one that is registered. `spec`: EnvironmentSpec as JSON; none leaves it to the models."""

    model_config = ConfigDict(frozen=True)

    id: str | None = None
    name: str | None = None
    spec: dict[str, Any] | None = None


def resolve(session: Session, access: Access, references: list[str]) -> list[PlannedModel]:
    """The versions that `name`, `name:version`, `name@alias` mean now. Raises NotFound, UsageError."""
    found = [_planned(names.version_of(session, access.workspace_id, parse_reference(said))) for said in references]
    seen = [each.reference for each in found]
    twice = next((each for each in seen if seen.count(each) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is given twice; give each version once.")
    return found


def registered(session: Session, access: Access, wish: EnvironmentWish) -> PlannedEnvironment:
    """Raises NotFound, UsageError."""
    if wish.name is not None and wish.spec is not None:
        raise UsageError("An environment is either one that is registered (name), or described in the request (spec); give one.")
    if wish.name is not None:
        row = environments.resolve(session, access.workspace_id, wish.name)
        return PlannedEnvironment(id=row.id, name=f"{row.name}:{row.version}", spec=environments.spec_of(row).to_json())
    return PlannedEnvironment(spec=None if wish.spec is None else EnvironmentSpec.from_json(wish.spec).to_json())


def lineage(session: Session, models: Sequence[PlannedModel]) -> list[dict[str, Any]]:
    """What the registry knows of each version, deleted ones too."""
    rows = {row.id: row for row in session.scalars(select(ModelVersionRow).where(ModelVersionRow.id.in_([model.id for model in models])))}
    return [_lineage(rows[model.id]) for model in models]


def workspace_name(session: Session, workspace_id: str) -> str:
    return session.get_one(WorkspaceRow, workspace_id).name


def _planned(row: ModelVersionRow) -> PlannedModel:
    return PlannedModel.model_validate({name: getattr(row, name) for name in PlannedModel.model_fields})


def _lineage(row: ModelVersionRow) -> dict[str, Any]:
    said = {name: row.lineage.get(name) for name in ("git_commit", "git_dirty", "run_id")}
    registered_at = row.created_at.isoformat().replace("+00:00", "Z")
    return {"name": row.name, "version": row.version, "tree": row.tree, **said, "registered_by": row.created_by, "registered_at": registered_at}

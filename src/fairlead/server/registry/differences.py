"""What one version has otherwise than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fairlead.schemas.models import Difference
from fairlead.server.registry.compatibility import judge
from fairlead.server.tables.registry import ModelVersionRow
from fairlead.stores import Tree

_LINEAGE = ("run_id", "git_commit", "git_dirty", "git_remote", "datasets", "parent")


def between(first: ModelVersionRow, second: ModelVersionRow, tree_of: Callable[[ModelVersionRow], Tree]) -> Difference:
    """Only what differs. The trees are read when they are not the same."""
    compatibility, reasons = judge(first.model_schema, second.model_schema)
    return Difference(
        first=f"{first.name}:{first.version}",
        second=f"{second.name}:{second.version}",
        metadata=_differing(_metadata(first), _metadata(second)),
        metrics=_differing(first.metrics, second.metrics),
        files={"added": [], "removed": [], "changed": []} if first.tree == second.tree else _files(tree_of(first), tree_of(second)),
        compatibility=compatibility,
        reasons=reasons,
    )


def _metadata(row: ModelVersionRow) -> dict[str, Any]:
    """Labels one by one, as tags.stage."""
    plain = {
        "name": row.name,
        "description": row.description,
        "framework": row.framework,
        "framework_version": row.framework_version,
        "flavor": row.flavor,
        "python": row.python,
        "requirements": row.requirements,
        "resources": row.resources,
        "archived": row.archived_at is not None,
        "size": row.size,
    }
    labels = {f"tags.{name}": value for name, value in row.tags.items()} | {f"properties.{name}": value for name, value in row.properties.items()}
    lineage = {f"lineage.{name}": row.lineage.get(name) for name in _LINEAGE}
    return plain | labels | lineage | {"sample_input": row.sample_input, "sample_output": row.sample_output}


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    names = sorted(first.keys() | second.keys())
    return {name: [first.get(name), second.get(name)] for name in names if first.get(name) != second.get(name)}


def _files(first: Tree, second: Tree) -> dict[str, list[str]]:
    old, new = ({each.path: (each.sha256, each.executable) for each in tree.files} for tree in (first, second))
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(path for path in old.keys() & new.keys() if old[path] != new[path]),
    }

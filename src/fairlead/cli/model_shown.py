"""Versions and their differences as lines that a person reads."""

from __future__ import annotations

from typing import Any

from fairlead.cli.output import shown, size
from fairlead.schemas.models import Difference, ModelVersion

SHOWN = 100  # rows of a table, unless more are asked for
Lines = list[tuple[str, Any]]


def version_lines(found: ModelVersion) -> Lines:
    lineage = found.lineage
    commit = f"{lineage.git_commit}{' (with changes that are not committed)' if lineage.git_dirty else ''}" if lineage.git_commit else None
    resources = found.resources.model_dump(exclude_none=True) if found.resources else None
    return [
        ("Model", found.reference),
        ("Description", found.description),
        ("Stage", found.stage),
        ("Aliases", found.aliases),
        ("Framework", " ".join(filter(None, (found.framework, found.framework_version)))),
        ("Requirements", found.requirements),
        ("Python", found.python),
        ("Tags", found.tags),
        ("Properties", found.properties),
        ("Metrics", found.metrics),
        ("Inputs", [each["name"] for each in (found.model_schema or {}).get("inputs", [])]),
        ("Sample", "yes" if found.sample_input else None),
        ("Recorded answer", "yes" if found.sample_output else None),
        ("Files", f"{found.files} ({size(found.size)})"),
        ("Tree", found.tree),
        ("Run", lineage.run_id),
        ("Commit", commit),
        ("Remote", lineage.git_remote),
        ("Data sets", [f"{each.purpose}={each.name}{f'@{each.digest}' if each.digest else ''}" for each in lineage.datasets]),
        ("Parent", lineage.parent),
        ("Resources", resources),
        ("Archived", "yes" if found.archived else None),
        ("Created", found.created_at),
        ("By", found.created_by),
        ("Id", found.id),
    ]


def difference_lines(found: Difference) -> Lines:
    """The verdict first, then what differs, old and new."""
    verdict = {
        "same": "the same",
        "compatible": f"compatible: callers of {found.first} can call {found.second}",
        "breaking": f"breaking: callers of {found.first} may fail with {found.second}",
        "unknown": "unknown",
    }[found.compatibility]
    lines: Lines = [("Schema", verdict)]
    lines += [("", reason) for reason in found.reasons]
    lines += [(name, f"{_short(old)} → {_short(new)}") for name, (old, new) in found.metrics.items()]
    lines += [(name, f"{_short(old)} → {_short(new)}") for name, (old, new) in found.metadata.items()]
    return lines + [(f"Files {what}", paths) for what, paths in found.files.items()]


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 60 else f"{text[:59]}…"

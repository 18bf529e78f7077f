"""`fairlead trace`: from an answer back to who let it be given."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.client import services
from fairlead.client.connection import connect
from fairlead.schemas.services import Trace

What = Annotated[str, typer.Argument(metavar="ID", help="What x-fairlead-revision or x-request-id said in an answer.")]


def trace(what: What, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Say where an answer came from: service, revision, bundle, models, environment, commit, who deployed it.

    \b
    fairlead trace 3f2a9c41
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = services.trace(transport, what)
    output.result(found, short=f"{found.service} {found.revision.number}", lines=_lines(found))


def _lines(found: Trace) -> list[tuple[str, Any]]:
    revision = found.revision
    commit = revision.git_commit and f"{revision.git_commit}{' with changes' if revision.git_dirty else ''}"
    lines: list[tuple[str, Any]] = [
        ("service", f"{found.service} ({found.service_id})"),
        ("workspace", found.workspace),
        ("revision", f"{revision.number} ({revision.short_id}, {revision.reason})"),
        ("bundle", found.bundle_digest),
        ("environment", found.environment_lock),
        ("code at", commit),
        ("deployed", f"{found.deployed_at:%Y-%m-%d %H:%M:%S} by {found.deployed_by or '-'}"),
    ]
    for each in found.models:
        about = {name: each[name] for name in ("tree", "git_commit", "run_id", "registered_by", "registered_at") if each.get(name)}
        lines.append(("model", f"{each.get('name')}:{each.get('version')}"))
        lines += [(f"  {name.replace('_', ' ')}", value) for name, value in about.items()]
    return [*lines, *((f"request {name}", value) for name, value in (found.request or {}).items())]

"""What a job is to do, resolved when it is asked for: plain JSON in its row, from which its order is written when it starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.schemas.jobs import JobInput, JobOutput, NewJob, Scoring
from fairlead.server.access import Access
from fairlead.server.accounts.secrets import refuse_missing
from fairlead.server.jobs import engines, inputs
from fairlead.server.settings import Settings

SCORING = ("method", "mini_batch", "partition_keys", "limits", "arguments", "variables", "secrets", "log_level")
_OUTPUT = ("format", "action", "file_name", "keep", "partition_by", "table", "options")


def of_job(session: Session, settings: Settings, access: Access, body: NewJob) -> dict[str, Any]:
    """Raises NotFound, UsageError, Forbidden."""
    _refuse_nonsense(body)
    refuse_missing(session, access.workspace_id, body.secrets)
    found = [each.to_json() for wish in body.inputs for each in inputs.resolve(session, settings, access, wish)]
    beside = {name: _side(session, settings, access, name, wish) for name, wish in body.side_inputs.items()}
    return {
        **scoring(session, access, body),
        "script": body.script,
        "inputs": found,
        "side_inputs": beside,
        "output": output(session, settings, access, body.output),
    }


def scoring(session: Session, access: Access, body: Scoring) -> dict[str, Any]:
    return body.model_dump(mode="json", include=set(SCORING)) | {"engine": engines.resolve(session, access, body.engine)}


def output(session: Session, settings: Settings, access: Access, wish: JobOutput) -> dict[str, Any]:
    url, secret = inputs.resolve_output(session, settings, access, wish)
    said = wish.model_dump(mode="json", include=set(_OUTPUT))
    if wish.overwrite:
        said["options"] = {**said["options"], "overwrite": True}
    return {**said, "url": url, "secret": secret}


def trees(body: NewJob) -> Iterator[str]:
    """Uploaded contents that it brings by digest."""
    if body.code:
        yield body.code.tree
    if body.bundle:
        yield body.bundle
    for wish in (*body.inputs, *body.side_inputs.values()):
        if wish.tree:
            yield wish.tree


def _side(session: Session, settings: Settings, access: Access, name: str, wish: JobInput) -> dict[str, Any]:
    """One place, which the driver fetches whole."""
    found = inputs.resolve(session, settings, access, wish)
    if len(found) != 1 or found[0].said.database or len(found[0].said.urls) + (found[0].tree is not None) != 1:
        raise UsageError(f"The side input {name!r} is fetched whole before init(), so it is one file or folder; give one URL, tree, or path of a datastore.")
    return found[0].to_json()


def _refuse_nonsense(body: NewJob) -> None:
    if body.script is not None and body.code is None and body.bundle is None:
        raise UsageError("`script` names a batch script in the code; give the code too, or leave the script out.")
    if body.output.action == "append_row" and body.output.partition_by:
        raise UsageError("append_row makes one file, which cannot be partitioned; leave out partition_by.")

"""A job of a batch service: its parameters' values, checked and resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.schemas.batch_services import INPUT, OUTPUT, NewBatchService, NewServiceJob, Parameter
from fairlead.schemas.jobs import Job, JobInput, JobOutput
from fairlead.server.access import Access
from fairlead.server.accounts.secrets import refuse_missing
from fairlead.server.accounts.workspaces import keep_workspace
from fairlead.server.batch_services import defining
from fairlead.server.context import Context
from fairlead.server.jobs import inputs, ordering, showing, wishes
from fairlead.server.jobs.ordering import Draft
from fairlead.server.jobs.orders import KEPT
from fairlead.server.making.plans import Plan
from fairlead.server.settings import Settings
from fairlead.server.tables.jobs import BatchServiceRow, JobRow

TREE, DATASET, DATASTORE = "tree:", "dataset:", "datastore:"
PINS = ("bundle_digest", "bundle_tree", "lock_digest", "lock_blob", "lock_python", "variables")
_KEPT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}(/[A-Za-z0-9][A-Za-z0-9._-]{0,126}){0,20}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def run(session: Session, access: Access, parts: Context, row: BatchServiceRow, body: NewServiceJob) -> Job:
    """The same name with the same parameters is the same job. Raises UsageError, NotFound, Conflict, Forbidden."""
    keep_workspace(session, access)
    request = body.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    same = ordering.find_same(session, access, row.id, body.name, request)
    if same is not None:
        return showing.to_wire(session, same)
    definition = defining.definition_of(row)
    declared = defining.parameters_of(definition)
    values = _values(row.name, declared, body)
    refuse_missing(session, access.workspace_id, [*definition.secrets, *body.credentials.values()])
    making = _Making(session, parts.settings, access, body.credentials)
    wish = wishes.scoring(session, access, definition) | (
        making.program(definition, declared, values) if row.kind == "program" else making.score(definition, values)
    )
    draft = Draft(
        kind=row.kind,
        plan=Plan.model_validate(row.recipe),
        wish=wish,
        request=request,
        name=body.name,
        scope=row.id,
        parameters=values,
        facts={"experiment": body.experiment, "tags": body.tags},
        pins=_pins(session, row),
    )
    return ordering.add(session, access, parts, draft)


def trees(body: NewServiceJob) -> Iterator[str]:
    """Uploaded contents that it brings by digest. Raises UsageError."""
    yield from (digest_in(value) for value in body.parameters.values() if value.startswith(TREE))


def digest_in(value: str) -> str:
    digest = value.removeprefix(TREE)
    if not _DIGEST.fullmatch(digest):
        raise UsageError(f"{value[:100]!r} names no uploaded tree; write tree: and its digest, 64 hexadecimal digits.")
    return digest


def _values(service: str, declared: list[Parameter], body: NewServiceJob) -> dict[str, str]:
    """Of every parameter. Raises UsageError."""
    known = {each.id for each in declared}
    strange = next((name for name in (*body.parameters, *body.credentials) if name not in known), None)
    if strange is not None:
        raise UsageError(f"The batch service {service!r} has no parameter {strange}; it has {', '.join(sorted(known)) or 'none'}.")
    values = {each.id: body.parameters.get(each.id, each.default) for each in declared}
    missing = next((name for name, value in values.items() if value is None), None)
    if missing is not None:
        raise UsageError(f"Must provide value for service parameter {missing}: the batch service {service!r} has no default for it.")
    return {name: str(value) for name, value in values.items()}


class _Making:
    """The wish of one job."""

    def __init__(self, session: Session, settings: Settings, access: Access, secrets: Mapping[str, str]) -> None:
        self._session, self._settings, self._access, self._secrets = session, settings, access, secrets

    def program(self, definition: NewBatchService, declared: list[Parameter], values: Mapping[str, str]) -> dict[str, Any]:
        assert definition.driver is not None
        return {"driver": definition.driver.entry_script, "parameters": [self._parameter(each, values[each.id]) for each in declared]}

    def score(self, definition: NewBatchService, values: Mapping[str, str]) -> dict[str, Any]:
        wish = _input(values[INPUT], self._secrets.get(INPUT), {"format": definition.input_format, "options": definition.input_options})
        found = [each.to_json() for each in inputs.resolve(self._session, self._settings, self._access, wish)]
        output = _output(values[OUTPUT], self._secrets.get(OUTPUT), {"format": definition.output_format, "keep": definition.keep})
        made = wishes.output(self._session, self._settings, self._access, output)
        return {"script": definition.script, "inputs": found, "side_inputs": {}, "output": made}

    def _parameter(self, declared: Parameter, value: str) -> dict[str, Any]:
        said = {"id": declared.id, "kind": declared.kind, "direction": declared.direction, "value": value, "tree": None, "secret": None}
        if declared.kind == "Value":
            return said
        secret = self._secrets.get(declared.id)
        if declared.direction == "Output":
            return said | self._place(value, secret)
        if value.startswith(TREE):
            return said | {"tree": digest_in(value)}
        found = inputs.resolve(self._session, self._settings, self._access, _input(value, secret, {}))
        if len(found) != 1 or len(found[0].said.urls) != 1:
            raise UsageError(f"{declared.id}: {value[:100]!r} is several places, and the driver is given one; name one file or folder.")
        return said | {"value": found[0].said.urls[0], "secret": found[0].secret}

    def _place(self, value: str, secret: str | None) -> dict[str, Any]:
        """Where an output goes."""
        if value.startswith(KEPT):
            if not _KEPT_NAME.fullmatch(value.removeprefix(KEPT)):
                raise UsageError(f"{value[:100]!r}: what the server keeps has a plain relative name, such as output:scores.csv.")
            return {"value": value}
        if value.startswith(DATASTORE):
            name, _, path = value.removeprefix(DATASTORE).partition("/")
            below, own = inputs.place_in(self._session, self._settings, self._access, name, path)
            return {"value": below, "secret": own}
        url, own = inputs.resolve_output(self._session, self._settings, self._access, JobOutput.of(url=value, credentials=secret))
        return {"value": str(url), "secret": own}


def _input(value: str, secret: str | None, more: Mapping[str, Any]) -> JobInput:
    said: dict[str, Any] = {"credentials": secret, **more}
    if value.startswith(TREE):
        return JobInput.of(tree=digest_in(value), **said)
    if value.startswith(DATASET):
        return JobInput.of(dataset=value.removeprefix(DATASET), **said)
    if value.startswith(DATASTORE):
        name, _, path = value.removeprefix(DATASTORE).partition("/")
        return JobInput.of(datastore=name, path=path, **said)
    return JobInput.of(urls=[value], **said)


def _output(value: str, secret: str | None, more: Mapping[str, Any]) -> JobOutput:
    said: dict[str, Any] = {"credentials": secret, **more}
    if value.startswith(KEPT):
        return JobOutput.of(**said)
    if value.startswith(DATASTORE):
        name, _, path = value.removeprefix(DATASTORE).partition("/")
        return JobOutput.of(datastore=name, path=path, **said)
    return JobOutput.of(url=value, **said)


def _pins(session: Session, row: BatchServiceRow) -> dict[str, Any]:
    """What an earlier job of this very definition was made of, if it is kept: the next starts at once, in the same versions."""
    same = (JobRow.scope == row.id, JobRow.cleared_at.is_(None), JobRow.lock_blob.is_not(None), JobRow.created_at >= row.updated_at)
    last = session.scalars(select(JobRow).where(*same).order_by(JobRow.id.desc()).limit(1)).first()
    return {} if last is None else {name: getattr(last, name) for name in PINS}

"""Batch jobs: files of this machine become uploads or paths, what was said becomes one request. Commands and SDK go this way alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.bundles.opening import open_bundle
from fairlead.client import jobs
from fairlead.client.transport import Transport
from fairlead.configurations.environment_block import NamedEnvironment
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError
from fairlead.schemas.batch_services import BatchService, NewBatchService
from fairlead.schemas.jobs import Job, NewJob
from fairlead.sdk.batch_data import Data, Way, are_files, by_the_shortest, inputs_of, output_of
from fairlead.sdk.deploying import Say, Source, code_of, commit_of, environment_of
from fairlead.sdk.mini_batches import mini_batch
from fairlead.sdk.uploads import Progress, upload_tree
from fairlead.stores.trees import tree_of

LOG = logging.getLogger("fairlead")


@dataclass(frozen=True, kw_only=True)
class BatchWish:
    """What is to be scored, with what. models: references such as `churn:3`. source: a script; batch_script: one with run(mini_batch), not a score.py.

    size: of a mini-batch, as people say it. output: members of `JobOutput` but for its place. settings: members of `NewJob` that need no files.
    """

    models: Sequence[str] = ()
    bundle: Path | None = None
    source: Source | None = None
    batch_script: bool = True
    environment: EnvironmentSpec | NamedEnvironment | None = None
    data: Sequence[Data] = ()
    side_inputs: Mapping[str, Data] = field(default_factory=dict)
    size: str | int | None = None
    place: str | None = None
    place_credentials: str | None = None
    output: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def start(transport: Transport, wish: BatchWish, *, say: Say = LOG.info, progress: Progress | None = None) -> Job:
    """Uploads what there is to upload and asks for the job; returns as soon as the server has taken it on. Raises UsageError, Conflict."""
    for notice in wish.environment.notices if isinstance(wish.environment, EnvironmentSpec) else ():
        say(notice)
    over_files = all(are_files(data) for data in wish.data)
    said = {
        **wish.settings,
        "models": list(wish.models) or None,
        "mini_batch": mini_batch(wish.size, over_files=over_files) if wish.size is not None else None,
        "output": {**output_of(transport, wish.place, wish.place_credentials), **wish.output},
        "bundle": _bundle(transport, wish.bundle),
        **_script(transport, wish),
        "environment": environment_of(wish.environment),
    }

    def ask(way: Way) -> Job:
        inputs = [each for data in wish.data for each in inputs_of(way, data)]
        sides = {name: _only(way, name, data) for name, data in wish.side_inputs.items()}
        return jobs.create_job(transport, NewJob.of(**_given({**said, "inputs": inputs, "side_inputs": sides or None})))

    return by_the_shortest(transport, ask, progress)


@dataclass(frozen=True, kw_only=True)
class ServiceWish:
    """A batch service. source: its driver, or a batch script beside models. settings: members of `NewBatchService` that need no files."""

    source: Source | None
    is_driver: bool = True
    environment: EnvironmentSpec | NamedEnvironment | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def create_service(transport: Transport, name: str, wish: ServiceWish, *, say: Say = LOG.info) -> BatchService:
    """Raises Conflict when the name is taken."""
    for notice in wish.environment.notices if isinstance(wish.environment, EnvironmentSpec) else ():
        say(notice)
    code = code_of(transport, wish.source) if wish.source is not None else None
    script = code["entry_script"] if code is not None and not wish.is_driver else None
    parts = {"driver": code} if wish.is_driver else {"code": code, "script": script}
    said = {"name": name, **wish.settings, **parts, "environment": environment_of(wish.environment)}
    return jobs.create_service(transport, NewBatchService.of(**_given(said)))


def _script(transport: Transport, wish: BatchWish) -> dict[str, Any]:
    if wish.source is None:
        return {}
    code = code_of(transport, wish.source)
    return {"code": code, "script": code["entry_script"] if wish.batch_script else None, **commit_of(wish.source)}


def _bundle(transport: Transport, path: Path | None) -> str | None:
    if path is None:
        return None
    open_bundle(path)
    return upload_tree(transport, tree_of(path), path)


def _only(way: Way, name: str, data: Data) -> dict[str, Any]:
    found = list(inputs_of(way, data))
    if len(found) != 1:
        raise UsageError(f"The side input {name} must be one place, and is {len(found)}.")
    return found[0]


def _given(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}

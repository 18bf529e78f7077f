"""A batch job of a workspace: how far it is, what it left."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fairlead.client import jobs
from fairlead.schemas import jobs as wire
from fairlead.sdk import batching, job_outputs
from fairlead.sdk.batch_data import Data
from fairlead.sdk.deploying import Source
from fairlead.sdk.job_following import STAGES, fault_of, follow

if TYPE_CHECKING:
    from fairlead.sdk.environment import Environment
    from fairlead.sdk.model import Model
    from fairlead.sdk.workspace import Workspace

LOG = logging.getLogger("fairlead")
Places = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class BatchJob:
    """Files scored with a model: `BatchJob.run(ws, model, "data/*.parquet")` begins one, `BatchJob(ws, "nightly")` finds one that is there.

    >>> job = BatchJob.run(ws, model, "data/*.parquet", output="scores", keep=["id"])
    >>> job.wait(show_output=True)
    >>> job.progress.rows.done
    5000000
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        """By name or id. Raises NotFound."""
        self.workspace = workspace
        self._facts = jobs.show_job(workspace.transport, name)

    @classmethod
    def run(
        cls,
        workspace: Workspace,
        model: Model | str,
        inputs: Places,
        output: str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        script: str | os.PathLike[str] | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        environment: Environment | None = None,
        mini_batch_size: str | int | None = None,
        input_format: str | None = None,
        input_options: Mapping[str, Any] | None = None,
        columns: Sequence[str] | None = None,
        credentials: str | None = None,
        output_format: str | None = None,
        keep: Sequence[str] | None = None,
        overwrite: bool = False,
        engine: str = "local",
        engine_options: Mapping[str, Any] | None = None,
        processes: int | None = None,
        error_threshold: int = 0,
        **settings: Any,
    ) -> Self:
        """Begins to score; `wait` waits for the end. Without a script the model's framework answers. `settings`: further members of a job, such as method.

        inputs: paths, globs, URLs, dataset:NAME, datastore:NAME/PATH. output: a path or URL; without one the server keeps it for `download`.
        overwrite: removes first what another job wrote there.
        Raises UsageError, Conflict when another job has the name.

            >>> BatchJob.run(ws, "churn:3", ["s3://bucket/rows/"], credentials="lake", method="predict_proba")
        """
        places = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
        words = {"format": input_format, "options": dict(input_options) if input_options else None, "columns": list(columns) if columns else None}
        engine_said = {"name": engine, "options": dict(engine_options) if engine_options else None, "processes": processes}
        wish = batching.BatchWish(
            models=[model if isinstance(model, str) else model.id],
            source=None if script is None else _source(Path(script), source_directory),
            environment=environment.wish() if environment is not None else None,
            data=[Data(places=[os.fspath(each) for each in places], words=_given(words), credentials=credentials)],
            size=mini_batch_size,
            place=None if output is None else os.fspath(output),
            place_credentials=credentials,
            output=_given({"format": output_format, "keep": list(keep) if keep else None, "overwrite": overwrite or None}),
            settings={"name": name, "engine": _given(engine_said), "limits": {"error_threshold": error_threshold}, **settings},
        )
        return cls.of(workspace, batching.start(workspace.transport, wish, say=LOG.warning))

    @classmethod
    def list(cls, workspace: Workspace, state: str | None = None, service: str | None = None, limit: int = 100) -> list[Self]:
        """Jobs, the newest first.

        >>> [job.name for job in BatchJob.list(ws, state="Failed")]
        ['nightly']
        """
        return [cls.of(workspace, each) for each in islice(jobs.list_jobs(workspace.transport, state=state, service=service), limit)]

    @property
    def id(self) -> str:
        return self._facts.id

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def state(self) -> str:
        """NotStarted, InProgress, Succeeded, Failed or Cancelled, as it was when last looked at."""
        return self._facts.state.value

    @property
    def progress(self) -> wire.JobProgress:
        """How far it was then: .rows.total, .rows.done, .rows.failed, .rows_per_second, .eta_seconds."""
        return self._facts.progress or wire.JobProgress()

    @property
    def output_url(self) -> str | None:
        return self._facts.output_url

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it failed: stage, cause, message, log_lines; None when it did not."""
        return None if self._facts.failure is None else self._facts.failure.model_dump()

    @property
    def started_at(self) -> datetime | None:
        return self._facts.started_at

    @property
    def finished_at(self) -> datetime | None:
        return self._facts.finished_at

    def refresh(self) -> None:
        """Looks again."""
        self._facts = jobs.show_job(self.workspace.transport, self.id)

    def wait(self, show_output: bool = False, timeout: float | None = None) -> Self:
        """Returns when it has succeeded. Raises the error that it ended with, or Unavailable when the time is up.

        >>> job.wait(show_output=True)
        """
        stage = None
        for each in follow(self.workspace.transport, self.id, timeout=timeout):
            if show_output and each.stage is not None and each.stage is not stage:
                print(f"{STAGES[each.stage]} ...", flush=True)
            stage, self._facts = each.stage, each
        if show_output:
            print(f"{self.name} {self.state}: {self.progress.rows.done} rows, {self.progress.rows.failed} failed")
        fault = fault_of(self._facts)
        if fault is not None:
            raise fault
        return self

    def cancel(self) -> None:
        """Ends it within seconds; the pieces that it has published stay whole."""
        jobs.cancel_job(self.workspace.transport, self.id)
        self._facts = jobs.wait_over(self.workspace.transport, self.id)

    def rerun(self, name: str | None = None) -> Self:
        """The same once more, with the models and packages of then. Into the same output, what is published already is not done again.

        >>> job.rerun().wait()
        """
        return self.of(self.workspace, jobs.rerun_job(self.workspace.transport, self.id, name))

    def events(self) -> Sequence[wire.JobEvent]:
        """What has happened to it, oldest first: each has .at, .event, .node and .message."""
        return tuple(jobs.list_events(self.workspace.transport, self.id))

    def outputs(self) -> Sequence[wire.OutputPart]:
        """The files that are published: each has .path, .rows, .bytes, .sha256 and .kind (part or quarantine)."""
        return tuple(jobs.list_outputs(self.workspace.transport, self.id))

    def download(self, folder: str | os.PathLike[str], quarantine: bool = True) -> Sequence[str]:
        """Fetches what is published, each file checked; answers the paths.

        >>> job.download("scores")
        ['scores/part-00000.parquet']
        """
        parts = [each for each in self.outputs() if quarantine or each.kind == "part"]
        return [str(path) for path in job_outputs.download(self.workspace.transport, self.id, parts, Path(folder))]

    def serialize(self) -> dict[str, Any]:
        """Every fact as plain data."""
        facts: dict[str, Any] = json.loads(self._facts.model_dump_json())
        return facts

    def __repr__(self) -> str:
        return f"BatchJob(workspace={self.workspace.name!r}, name={self.name!r}, state={self.state!r})"

    @classmethod
    def of(cls, workspace: Workspace, facts: wire.Job) -> Self:
        """From what the server said."""
        made = cls.__new__(cls)
        made.workspace, made._facts = workspace, facts
        return made


def _source(script: Path, folder: str | os.PathLike[str] | None) -> Source:
    if folder is None:
        return Source(script=script)
    return Source(script=script if script.exists() else Path(folder, script), folder=Path(folder))


def _given(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}

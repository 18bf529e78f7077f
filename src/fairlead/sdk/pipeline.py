"""A pipeline of one ParallelRunStep, and the experiment that its runs are kept under."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from fairlead.client import jobs, models
from fairlead.errors import NotFound, UsageError
from fairlead.schemas.references import parse_reference
from fairlead.sdk import batching
from fairlead.sdk.batch_job import LOG
from fairlead.sdk.parallel_run_step import ParallelRunStep
from fairlead.sdk.pipeline_run import OUTPUT, STEP, PipelineRun

if TYPE_CHECKING:
    from fairlead.sdk.workspace import Workspace

LATER = "Pipelines of several steps, published pipelines and schedules come with a later release; here a pipeline is one ParallelRunStep."


class Pipeline:
    """What is submitted. In this release: one `ParallelRunStep`.

    >>> run = Experiment(ws, "batch").submit(Pipeline(workspace=ws, steps=[step]))
    """

    def __init__(self, workspace: Workspace, steps: Sequence[object], description: str | None = None, **kwargs: object) -> None:
        """Raises UsageError for anything but one ParallelRunStep."""
        found = [each for each in _flat(steps) if isinstance(each, ParallelRunStep)]
        if len(found) != 1 or len(list(_flat(steps))) != 1:
            raise UsageError(f"{LATER} This one has {', '.join(map(repr, _flat(steps))) or 'no step'}.")
        self.workspace = workspace
        self.step = found[0]
        self.description = description

    def validate(self) -> Sequence[str]:
        """What is wrong with it: nothing, or UsageError is raised."""
        self.step.wish("validated", partial(_is_model, self.workspace))
        return []

    def submit(self, experiment_name: str, pipeline_parameters: Mapping[str, object] | None = None, **kwargs: object) -> PipelineRun:
        """What `Experiment.submit` does.

        >>> pipeline.submit("batch")
        """
        return Experiment(self.workspace, experiment_name).submit(self, pipeline_parameters=pipeline_parameters)

    def publish(self, *_: object, **__: object) -> None:
        """Not in this release. Raises UsageError."""
        raise UsageError(LATER)


class Experiment:
    """A name that runs are kept under.

    >>> Experiment(ws, "batch").submit(pipeline).wait_for_completion(show_output=True)
    'Finished'
    """

    def __init__(self, workspace: Workspace, name: str, **kwargs: object) -> None:
        self.workspace = workspace
        self.name = name

    def submit(
        self,
        config: Pipeline,
        tags: Mapping[str, str] | None = None,
        *,
        regenerate_outputs: bool = False,
        pipeline_parameters: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> PipelineRun:
        """Begins a run and returns at once. Raises UsageError.

        >>> run = Experiment(ws, "batch").submit(pipeline)
        """
        if not isinstance(config, Pipeline):
            raise UsageError(f"{config!r} is no pipeline; submit Pipeline(workspace=ws, steps=[step]).")
        if pipeline_parameters:
            raise UsageError(f"pipeline_parameters: {LATER}")
        step = config.step
        run_id = f"{step.name}-{datetime.now():%Y-%m-%d-%H%M%S}-{uuid.uuid4().hex[:4]}"  # noqa: DTZ005 - for people, as their clock has it
        wish = step.wish(run_id, partial(_is_model, self.workspace))
        marks = {**(tags or {}), STEP: step.name, **({OUTPUT: step.output.name} if step.output is not None else {})}
        said = {"description": config.description, **wish.settings, "experiment": self.name, "tags": marks}
        settings = {word: value for word, value in said.items() if value is not None}
        made = batching.start(self.workspace.transport, replace(wish, settings=settings), say=LOG.warning)
        return PipelineRun(self, made.id)

    def get_runs(self) -> Iterator[PipelineRun]:
        """Runs under this name, the newest first."""
        for each in jobs.list_jobs(self.workspace.transport, experiment=self.name):
            if each.experiment == self.name:
                yield PipelineRun(self, each.id)

    def __repr__(self) -> str:
        return f"Experiment({self.name!r}, workspace={self.workspace.name!r})"


def _is_model(workspace: Workspace, word: str) -> bool:
    try:
        models.show_version(workspace.transport, parse_reference(word))
    except (NotFound, UsageError):
        return False
    return True


def _flat(steps: object) -> Iterator[object]:
    """Steps stand in lists of lists where some wait for others."""
    if isinstance(steps, list | tuple):
        for each in steps:
            yield from _flat(each)
    else:
        yield steps

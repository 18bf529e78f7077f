"""A pipeline that was submitted: its state, its step, what that wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.client import jobs
from fairlead.errors import NotFound, UsageError
from fairlead.schemas.jobs import Job, JobState
from fairlead.sdk import job_outputs
from fairlead.sdk.job_following import STAGES, fault_of, follow

if TYPE_CHECKING:
    from fairlead.sdk.pipeline import Experiment

STEP, OUTPUT = "azureml.step", "azureml.output"  # tags of its job: what step and output are called
STATUS = {
    JobState.NOT_STARTED: "NotStarted",
    JobState.IN_PROGRESS: "Running",
    JobState.SUCCEEDED: "Finished",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Canceled",
}


class _Run:
    """What a pipeline's run and its step's have in common: one job."""

    def __init__(self, experiment: Experiment, run_id: str) -> None:
        """By name or id. Raises NotFound."""
        self.experiment = experiment
        self._facts = jobs.show_job(experiment.workspace.transport, run_id)

    @property
    def id(self) -> str:
        return self._facts.name

    @property
    def status(self) -> str:
        """As it was when last looked at."""
        return STATUS[self._facts.state]

    def get_status(self) -> str:
        """NotStarted, Running, Finished, Failed or Canceled, as it is now."""
        self._look()
        return self.status

    def get_details(self) -> dict[str, Any]:
        """runId, status, startTimeUtc, endTimeUtc, error, properties."""
        self._look()
        facts = self._facts
        failure = facts.failure
        return {
            "runId": self.id,
            "target": facts.engine,
            "status": self.status,
            "startTimeUtc": facts.started_at and facts.started_at.isoformat(),
            "endTimeUtc": facts.finished_at and facts.finished_at.isoformat(),
            "properties": {"fairlead.job": facts.id, "fairlead.models": ",".join(facts.models)},
            "error": failure and {"error": {"code": failure.cause, "message": failure.message}},
            "progress": facts.progress and facts.progress.model_dump(),
        }

    def get_tags(self) -> dict[str, str]:
        return {name: value for name, value in self._facts.tags.items() if name not in (STEP, OUTPUT)}

    def cancel(self) -> None:
        """Ends it within seconds; what is written stays."""
        jobs.cancel_job(self.experiment.workspace.transport, self._facts.id)
        self._facts = jobs.wait_over(self.experiment.workspace.transport, self._facts.id)

    def wait_for_completion(self, show_output: bool = False, timeout_seconds: float | None = None, raise_on_error: bool = True) -> str:
        """Its status when it is over. Raises the error that it ended with, unless `raise_on_error` is False; Unavailable when the time is up.

        >>> run.wait_for_completion(show_output=True)
        'Finished'
        """
        stage = None
        for each in follow(self.experiment.workspace.transport, self._facts.id, timeout=timeout_seconds):
            if show_output and each.stage is not None and each.stage is not stage:
                print(f"{self.id}: {STATUS[each.state]}, {STAGES[each.stage]}", flush=True)
            stage, self._facts = each.stage, each
        if show_output:
            print(f"{self.id}: {self.status}")
        fault = fault_of(self._facts)
        if fault is not None and raise_on_error:
            raise fault
        return self.status

    def __repr__(self) -> str:
        return f"{type(self).__name__}(experiment={self.experiment.name!r}, id={self.id!r}, status={self.status!r})"

    def _look(self) -> None:
        self._facts = jobs.show_job(self.experiment.workspace.transport, self._facts.id)


class PipelineRun(_Run):
    """A run of a pipeline; its children are the runs of its steps.

    >>> run = PipelineRun(Experiment(ws, "batch"), run_id)
    >>> next(run.get_children()).get_output_data("inferences").download("results")
    """

    def get_children(self, recursive: bool = False) -> Iterator[StepRun]:
        """The runs of its steps: one.

        >>> next(run.get_children()).name
        'batch-score'
        """
        yield StepRun(self.experiment, self._facts.id)

    def get_steps(self) -> Iterator[StepRun]:
        return self.get_children()

    def find_step_run(self, name: str) -> Sequence[StepRun]:
        """Those of the step of this name.

        >>> run.find_step_run("batch-score")[0].get_status()
        'Finished'
        """
        return [each for each in self.get_children() if each.name == name]

    def publish_pipeline(self, *_: object, **__: object) -> None:
        """Not in this release. Raises UsageError."""
        raise UsageError("Published pipelines come with a later release; `fairlead job rerun` runs this once more.")


class StepRun(_Run):
    """A run of a step.

    >>> next(run.get_children()).get_output_data("inferences").download("results")
    """

    @property
    def name(self) -> str:
        return self._facts.tags.get(STEP, self._facts.name)

    def get_outputs(self) -> dict[str, PortOutput]:
        """By name."""
        name = self._facts.tags.get(OUTPUT)
        return {} if name is None else {name: self.get_output_data(name)}

    def get_output_data(self, name: str) -> PortOutput:
        """What the step wrote into this output. Raises NotFound.

        >>> step_run.get_output_data("inferences").download("results")
        """
        own = self._facts.tags.get(OUTPUT)
        if name != own:
            raise NotFound(f"The step {self.name} has no output {name!r}" + (f"; it has {own!r}." if own else "."))
        return PortOutput(self, name, self._facts)


class PortOutput:
    """An output of a step that has run."""

    def __init__(self, run: StepRun, name: str, facts: Job) -> None:
        self.name = name
        self.url = facts.output_url
        self._run = run
        self._facts = facts

    def download(self, local_path: str | os.PathLike[str], overwrite: bool | None = None, show_progress: bool | None = None) -> int:
        """Fetches its files below `local_path/azureml/RUN/OUTPUT/`, as Azure ML lays them out; answers how many. Raises UsageError while there are none.

        >>> step_run.get_output_data("inferences").download(local_path="results")
        1
        """
        transport = self._run.experiment.workspace.transport
        parts = [each for each in jobs.list_outputs(transport, self._facts.id) if each.kind == "part"]
        if not parts and (status := self._run.get_status()) != STATUS[JobState.SUCCEEDED]:
            raise UsageError(f"The run {self._run.id} is {status} and has written nothing into {self.name}; `run.wait_for_completion()` waits for it.")
        folder = Path(local_path) / "azureml" / self._run.id / self.name
        return len(job_outputs.download(transport, self._facts.id, parts, folder))

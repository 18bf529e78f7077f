"""BatchJob and a pipeline of one ParallelRunStep, against a real server with the real runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import BatchJob, Environment, Experiment, Model, ParallelRunConfig, ParallelRunStep, Pipeline, PipelineData, Workspace
from fairlead.errors import BootFailure, FairleadError, NotFound, UsageError

SCRIPT = """
import os, sys
from azureml.core.model import Model

def init():
    global word
    with open(Model.get_model_path("word")) as file:
        word = file.read()

def run(mini_batch):
    print("got", len(mini_batch))
    for path in mini_batch:
        if os.path.basename(path) == "bad.txt":
            raise ValueError("bad.txt is bad")
    return [f"{os.path.basename(path)}: {word} {open(path).read()}" for path in mini_batch]
"""


@pytest.fixture
def model(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model that a script reads, the script batch.py, and seven files below files/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "word.txt").write_text("hello")
    (tmp_path / "batch.py").write_text(SCRIPT)
    (tmp_path / "files").mkdir()
    for number in range(7):
        (tmp_path / f"files/{number}.txt").write_text(str(number))
    return Model.register(ws, "word.txt", "word")


def nothing() -> Environment:
    """No packages beside those of batch."""
    (path := Path("requirements.txt")).write_text("")
    return Environment.from_pip_requirements("nothing", path)


def config(**more: object) -> ParallelRunConfig:
    said = {"entry_script": "batch.py", "error_threshold": 0, "output_action": "append_row", "node_count": 1, "mini_batch_size": "2", **more}
    return ParallelRunConfig(nothing(), **said)  # type: ignore[arg-type]


def test_a_pipeline_runs_as_in_the_seeds(ws: Workspace, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    step = ParallelRunStep("say-hello", config(), inputs=["files/*.txt"], output=PipelineData("inferences"))
    run = Experiment(ws, "greetings").submit(Pipeline(ws, [step]), tags={"team": "a"})
    with pytest.raises(UsageError, match=r"has written nothing into inferences; `run\.wait_for_completion"):
        next(run.get_children()).get_output_data("inferences").download("results")
    assert run.wait_for_completion(show_output=True) == "Finished"
    assert f"{run.id}: Finished" in capsys.readouterr().out
    child = next(run.get_children())
    assert (child.name, child.get_status(), run.get_tags()) == ("say-hello", "Finished", {"team": "a"})
    assert [each.name for each in run.find_step_run("say-hello")] == ["say-hello"]
    details = run.get_details()
    assert (details["runId"], details["status"], details["error"], details["properties"]["fairlead.models"]) == (run.id, "Finished", None, "word:1")
    assert child.get_output_data("inferences").download("results") == 1
    [found] = Path("results").rglob("parallel_run_step.txt")
    assert found.parts[1:-1] == ("azureml", run.id, "inferences")
    assert found.read_text().splitlines() == [f"{number}.txt: hello {number}" for number in range(7)]
    assert list(child.get_outputs()) == ["inferences"]
    with pytest.raises(NotFound, match="has no output 'others'; it has 'inferences'"):
        child.get_output_data("others")
    assert [each.id for each in Experiment(ws, "greetings").get_runs()] == [run.id]
    with pytest.raises(UsageError, match="come with a later release"):
        run.publish_pipeline()


def test_a_job_is_waited_for_looked_at_and_run_again(ws: Workspace, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    said = {"script": "batch.py", "environment": nothing(), "mini_batch_size": "3files", "input_format": "files"}
    job = BatchJob.run(ws, model, "files", name="hello", **said).wait(show_output=True)  # type: ignore[arg-type]
    assert "hello Succeeded: 7 rows, 0 failed" in capsys.readouterr().out
    assert (job.state, job.progress.rows.done, job.error) == ("Succeeded", 7, None)
    assert sum(each.rows or 0 for each in job.outputs()) == 7
    assert [Path(each).name for each in job.download("fetched")] == [Path(each.path).name for each in job.outputs()]
    assert {each.event for each in job.events()} >= {"JobSubmitted", "JobSucceeded"}
    again = job.rerun("again").wait()
    assert [each.name for each in BatchJob.list(ws, state="Succeeded")] == ["again", "hello"]
    assert again.serialize()["rerun_of"] in (job.id, job.name)
    Path("files/bad.txt").write_text("")
    failed = BatchJob.run(ws, "word:1", ["files"], name="bad", **said)  # type: ignore[arg-type]
    with pytest.raises(FairleadError, match="The job bad failed while scoring"):
        failed.wait()
    assert failed.error is not None
    assert failed.error["cause"] == "too-many-failed"
    Path("batch.py").write_text("def init(): raise OSError('no disk')\ndef run(mini_batch): return []\n")
    with pytest.raises(BootFailure, match="no disk"):
        BatchJob.run(ws, "word:1", "files", **said).wait()  # type: ignore[arg-type]

"""ParallelRunConfig, ParallelRunStep and Pipeline: what they take, what they refuse, what they ask the server for."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from fairlead import Environment, OutputFileDatasetConfig, ParallelRunConfig, ParallelRunStep, Pipeline, PipelineData, Workspace
from fairlead.errors import UsageError
from fairlead.sdk.parallel_run_step import models_named

GIVEN: dict[str, Any] = {
    "entry_script": "batch.py",
    "error_threshold": 10,
    "output_action": "append_row",
    "compute_target": "cpu-cluster",
    "node_count": 2,
    "process_count_per_node": 3,
    "mini_batch_size": "5",
    "description": "Nightly.",
    "logging_level": "DEBUG",
    "run_invocation_timeout": 600,
    "run_max_try": 2,
    "append_row_file_name": "out.txt",
    "allowed_failed_count": 7,
    "allowed_failed_percent": 12.5,
    "environment_variables": {"A": "b"},
}
NOWHERE = cast(Workspace, None)


def config(**more: Any) -> ParallelRunConfig:
    said = {**GIVEN, **more}
    return ParallelRunConfig(**{name: value for name, value in said.items() if value is not ...})


def test_arguments_stand_in_the_order_of_the_seeds() -> None:
    words = list(inspect.signature(ParallelRunConfig).parameters)
    assert words[:7] == ["environment", "entry_script", "error_threshold", "output_action", "compute_target", "node_count", "process_count_per_node"]
    assert words[7:13] == ["mini_batch_size", "source_directory", "description", "logging_level", "run_invocation_timeout", "run_max_try"]
    assert words[13:18] == ["append_row_file_name", "allowed_failed_count", "allowed_failed_percent", "partition_keys", "environment_variables"]
    step = list(inspect.signature(ParallelRunStep).parameters)
    assert step[:7] == ["name", "parallel_run_config", "inputs", "output", "side_inputs", "arguments", "allow_reuse"]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"entry_script": None}, "needs entry_script"),
        ({"error_threshold": None}, "needs error_threshold"),
        ({"error_threshold": -2}, "error_threshold -2: say a whole number, -1 at least."),
        ({"error_threshold": True}, "error_threshold True"),
        ({"output_action": "append"}, "output_action 'append': say append_row"),
        ({"output_action": "summary_only"}, "append_row_file_name is for output_action append_row"),
        ({"node_count": 0}, "node_count 0"),
        ({"process_count_per_node": 0}, "process_count_per_node 0"),
        ({"run_max_try": 0}, "run_max_try 0"),
        ({"run_invocation_timeout": 0}, "run_invocation_timeout 0: say seconds"),
        ({"mini_batch_size": "many"}, "'many' is no mini-batch; write 10MB, 10000rows or 5files."),
        ({"mini_batch_size": 0}, "'0' is no mini-batch"),
        ({"logging_level": "LOUD"}, "logging_level 'LOUD'"),
        ({"allowed_failed_percent": 101}, "allowed_failed_percent 101"),
        ({"partition_keys": ["region"]}, "partition_keys and mini_batch_size both say"),
        ({"partition_keys": "region", "mini_batch_size": ...}, "give a list of columns"),
        ({"compute_target": 7}, "compute_target 7"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_name(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        config(**said)
    assert sentence in str(refused.value)


def test_yaml_holds_every_argument_and_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "parallel_run.yml"
    environment = Environment("batch")
    environment.python.conda_dependencies.add_pip_package("polars")
    config(environment=environment, source_directory="scripts").save_to_yaml(path)
    said = yaml.safe_load(path.read_text())
    assert {name: said[name] for name in GIVEN} == GIVEN
    again = ParallelRunConfig.load_yaml(NOWHERE, path)
    assert {name: getattr(again, name) for name in GIVEN} == GIVEN
    assert again.source_directory == "scripts"
    assert again.environment is not None
    assert "polars" in list(again.environment.spec().requirements)


def test_yaml_with_words_that_are_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parallel_run.yml"
    path.write_text("entry_script: a.py\nnode_cuont: 2\n")
    with pytest.raises(UsageError, match="'node_cuont' is no word of a parallel run"):
        ParallelRunConfig.load_yaml(NOWHERE, path)
    path.write_text("[1]")
    with pytest.raises(UsageError, match="must be a mapping"):
        ParallelRunConfig.load_yaml(NOWHERE, path)
    with pytest.raises(UsageError, match="cannot be read"):
        ParallelRunConfig.load_yaml(NOWHERE, tmp_path / "absent.yml")


@pytest.mark.parametrize("name", ["Batch", "ab", "a" * 33, "1step", "step-", "a_b_c", ""])
def test_a_step_has_a_name_of_the_seeds(name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a step"):
        ParallelRunStep(name, config(), inputs=["rows"])


def test_a_step_is_a_job(tmp_path: Path) -> None:
    (tmp_path / "batch.py").write_text('from azureml.core.model import Model\ndef init():\n    Model.get_model_path("wine", version=2)\n')
    named = type("Named", (), {"name": "labels", "dataset": type("Set", (), {"name": "labels-of-wine", "version": 3})()})()
    step = ParallelRunStep(
        "score-wine", config(source_directory=str(tmp_path)), ["rows.csv"], PipelineData("inferences"), [named], ["--labels", named, "--top", 3]
    )
    wish = step.wish("run-1", lambda word: False)
    assert wish.models == ["wine:2"]
    assert (wish.size, wish.place, wish.output) == ("5", None, {"action": "append_row", "format": "text", "file_name": "out.txt"})
    assert wish.side_inputs["labels"].places == ["dataset:labels-of-wine:3"]
    assert wish.settings["arguments"] == ["--labels", "$AZUREML_DATAREFERENCE_labels", "--top", "3"]
    assert wish.settings["engine"] == {"nodes": 2, "processes": 3, "pool": "cpu-cluster"}
    assert wish.settings["limits"] == {
        "error_threshold": 10, "allowed_failed_count": 7, "allowed_failed_percent": 12.5, "run_max_try": 2, "run_invocation_timeout": 600.0,
    }  # fmt: skip
    assert (wish.settings["log_level"], wish.settings["variables"], wish.settings["name"]) == ("DEBUG", {"A": "b"}, "run-1")


def test_side_inputs_need_names_and_arguments_need_side_inputs() -> None:
    with pytest.raises(UsageError, match="a side input needs a name"):
        ParallelRunStep("score", config(), ["rows"], side_inputs=["labels.csv"])
    with pytest.raises(UsageError, match="none of the step's side_inputs"):
        ParallelRunStep("score", config(), ["rows"], arguments=[object()])
    with pytest.raises(UsageError, match="has no inputs"):
        ParallelRunStep("score", config(), [])


def test_outputs_lie_in_a_datastore_or_with_the_server() -> None:
    store = type("Datastore", (), {"name": "lake"})()
    assert PipelineData("out").place("run") is None
    assert PipelineData("out", datastore=store).place("run") == "datastore:lake/azureml/run/out"
    assert OutputFileDatasetConfig("out", destination=(store, "scores/{run-id}/{output-name}/")).place("run") == "datastore:lake/scores/run/out"


def test_models_are_those_that_a_script_names() -> None:
    code = 'Model.get_model_path("a")\nModel.get_model_path(model_name="b", version=3)\nModel.get_model_path(name)\nModel.get_model_path("a")\nget("c")\n'
    assert models_named(code, "batch.py") == ["a", "b:3"]
    with pytest.raises(UsageError, match=r"batch.py, line 1: "):
        models_named("def", "batch.py")


def test_a_model_may_be_named_among_the_arguments_as_the_tutorials_do(tmp_path: Path) -> None:
    (tmp_path / "batch.py").write_text("def init():\n    Model.get_model_path(parsed.model_name)\n")
    step = ParallelRunStep("score", config(source_directory=str(tmp_path)), ["rows"], arguments=["--model_name", "iris", "--also=wine:2", "--top", 3, "--fast"])
    assert step.wish("run", {"iris", "wine:2", "fast"}.__contains__).models == ["iris", "wine:2"]
    (tmp_path / "batch.py").write_text('def init():\n    Model.get_model_path("digits")\n')
    assert step.wish("run", {"iris"}.__contains__).models == ["digits"]


def test_a_pipeline_is_one_parallel_run_step() -> None:
    step = ParallelRunStep("score", config(), ["rows"])
    for steps in ([], [step, step], ["train.py"], [step, "train.py"]):
        with pytest.raises(UsageError, match="come with a later release"):
            Pipeline(NOWHERE, steps)
    assert Pipeline(NOWHERE, [[step]]).step is step

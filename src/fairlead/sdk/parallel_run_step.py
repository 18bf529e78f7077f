"""A step that runs a batch script over data, in the words of Azure ML."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairlead.errors import UsageError
from fairlead.schemas.references import parse_reference
from fairlead.sdk.batching import BatchWish
from fairlead.sdk.deploying import Source
from fairlead.sdk.parallel_run_config import ParallelRunConfig
from fairlead.sdk.step_data import PipelineData, named_input, words_of

if TYPE_CHECKING:
    from fairlead.sdk.model import Model

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class ParallelRunStep:
    """A batch script over data: `Pipeline(ws, [step])` makes it something to submit.

    inputs: data sets, or paths and URLs. side_inputs: further ones, fetched before `init()`; among `arguments` they become paths. A model that the
    script names (`Model.get_model_path("churn")`), or that `arguments` name for it (`--model_name churn`), is given to it; `models` says others. Each
    submission runs, whatever `allow_reuse` says.

        >>> step = ParallelRunStep("batch-score", parallel_run_config=config, inputs=[data.as_named_input("rows")], output=output)
    """

    def __init__(
        self,
        name: str,
        parallel_run_config: ParallelRunConfig,
        inputs: Sequence[object],
        output: PipelineData | None = None,
        side_inputs: Sequence[object] | None = None,
        arguments: Sequence[object] | None = None,
        allow_reuse: bool = True,
        *,
        models: Sequence[Model | str] | None = None,
    ) -> None:
        """Raises UsageError, also for a name that is none: 3 to 32 lower-case letters, digits and dashes."""
        if not NAME.fullmatch(name) or not 3 <= len(name) <= 32:
            raise UsageError(f"{name!r} is no name for a step: 3 to 32 lower-case letters, digits and dashes, from a letter to a letter or digit.")
        if not inputs or isinstance(inputs, str):
            raise UsageError(f"The step {name} has no inputs; give a list of data sets or paths.")
        self.name = name
        self.config = parallel_run_config
        self.inputs = list(inputs)
        self.output = output
        self.side_inputs = list(side_inputs or ())
        self.arguments = list(arguments or ())
        self.allow_reuse = allow_reuse
        self.models = [each if isinstance(each, str) else each.id for each in models or ()]
        self._check_sides()

    def wish(self, run_id: str, is_model: Callable[[str], bool]) -> BatchWish:
        """What is asked for under this id. Reads the script. `is_model`: whether a word is a model of the workspace. Raises UsageError."""
        config, script = self.config, self.config.script_path()
        folder = None if config.source_directory is None else script.parents[len(script.relative_to(config.source_directory).parts) - 1]
        sides = {str(each.name): each.data for each in map(named_input, self.side_inputs)}
        return BatchWish(
            models=self.models or models_named(script.read_text(encoding="utf-8"), str(script), filter(is_model, self._words())),
            source=Source(script=script, folder=folder),
            environment=None if config.environment is None or config.environment.is_of_its_base else config.environment.wish(),
            data=[each.data for each in map(named_input, self.inputs)],
            side_inputs=sides,
            size=config.mini_batch_size,
            place=self.output.place(run_id) if self.output is not None else None,
            output=_output(config),
            settings={"name": run_id, "arguments": words_of(self.arguments, sides) or None, **_settings(config)},
        )

    def _words(self) -> Iterator[str]:
        """Values among the arguments: `--model_name churn`, `--model_name=churn`."""
        for said in self.arguments:
            word = said.partition("=")[2] if isinstance(said, str) and said.startswith("-") else said
            if isinstance(word, str) and word:
                yield word

    def __repr__(self) -> str:
        return f"ParallelRunStep({self.name!r})"

    def _check_sides(self) -> None:
        names = [named_input(each).name for each in self.side_inputs]
        if None in names:
            raise UsageError(f"The step {self.name}: a side input needs a name, such as data.as_named_input('labels').")
        if len(set(names)) < len(names):
            raise UsageError(f"The step {self.name}: two side inputs have one name.")
        words_of(self.arguments, {str(name): named_input(each).data for name, each in zip(names, self.side_inputs, strict=True)})


def models_named(code: str, where: str, said: Iterable[str] = ()) -> list[str]:
    """Models that a script asks for by a literal name: `Model.get_model_path("churn")`, with a version or without; and where it asks for one by a variable,
    those `said` to it. Raises UsageError for bad syntax."""
    try:
        tree = ast.parse(code)
    except SyntaxError as fault:
        raise UsageError(f"{where}, line {fault.lineno}: {fault.msg}.") from fault
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_model_path"]
    found = [_reference(call) for call in calls]
    return list(dict.fromkeys([*(each for each in found if each is not None), *(said if None in found else ())]))


def _reference(call: ast.Call) -> str | None:
    said = dict(zip(("model_name", "version"), call.args, strict=False)) | {each.arg: each.value for each in call.keywords if each.arg}
    values = {name: node.value for name, node in said.items() if isinstance(node, ast.Constant)}
    name, version = values.get("model_name"), values.get("version")
    if not isinstance(name, str):
        return None
    reference = f"{name}:{version}" if isinstance(version, int | str) else name
    parse_reference(reference)
    return reference


def _output(config: ParallelRunConfig) -> dict[str, Any]:
    if config.output_action == "summary_only":
        return {"action": "summary_only"}
    return {"action": "append_row", "format": "text", **({"file_name": config.append_row_file_name} if config.append_row_file_name else {})}


def _settings(config: ParallelRunConfig) -> dict[str, Any]:
    limits = {
        "error_threshold": config.error_threshold,
        "allowed_failed_count": config.allowed_failed_count,
        "allowed_failed_percent": config.allowed_failed_percent,
        "run_max_try": config.run_max_try,
        "run_invocation_timeout": float(config.run_invocation_timeout),
    }
    engine = {
        "name": config.engine,
        "nodes": config.node_count,
        "processes": config.process_count_per_node,
        "options": config.engine_options,
        "pool": config.compute_target,
    }
    said = {
        "limits": _given(limits),
        "engine": _given(engine),
        "partition_keys": config.partition_keys,
        "variables": config.environment_variables,
        "log_level": config.logging_level,
        "description": config.description,
    }
    return _given(said)


def _given(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}

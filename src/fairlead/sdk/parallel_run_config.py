"""How a batch script runs over many mini-batches: every word of Azure ML's ParallelRunConfig."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fairlead.errors import UsageError
from fairlead.sdk.environment import Environment
from fairlead.sdk.mini_batches import mini_batch

if TYPE_CHECKING:
    from fairlead.sdk.workspace import Workspace

ACTIONS = ("append_row", "summary_only")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
KEYS = (
    "entry_script", "source_directory", "mini_batch_size", "error_threshold", "output_action", "append_row_file_name", "compute_target", "node_count",
    "process_count_per_node", "run_invocation_timeout", "run_max_try", "logging_level", "description", "allowed_failed_count", "allowed_failed_percent",
    "partition_keys", "environment_variables", "engine", "engine_options",
)  # fmt: skip
_ENVIRONMENT_KEYS = ("environment", "environment_name", "environment_version")
_NEEDED = ("entry_script", "error_threshold", "output_action", "node_count")


class ParallelRunConfig:
    """Script, packages, size of mini-batches, and what may fail; a `ParallelRunStep` says over which data.

    mini_batch_size: "5" files, or bytes of rows such as "10MB"; default 10 files, 1 MB. error_threshold: how many items may fail, -1: all.
    process_count_per_node: default one per core, or per GPU. run_invocation_timeout: seconds for one `run()`; one that fails is tried run_max_try times.
    partition_keys: columns by whose values rows are grouped, instead of mini_batch_size. engine: local (default), ray or spark.

        >>> ParallelRunConfig(
        ...     environment=Environment.from_pip_requirements("batch", "requirements.txt"), source_directory="scripts", entry_script="batch.py",
        ...     mini_batch_size="5", error_threshold=10, output_action="append_row", compute_target="cpu-cluster", node_count=2,
        ... )
    """

    def __init__(
        self,
        environment: Environment | None = None,
        entry_script: str | os.PathLike[str] | None = None,
        error_threshold: int | None = None,
        output_action: str | None = None,
        compute_target: object = None,
        node_count: int | None = None,
        process_count_per_node: int | None = None,
        mini_batch_size: str | int | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        description: str | None = None,
        logging_level: str = "INFO",
        run_invocation_timeout: int = 60,
        run_max_try: int = 3,
        append_row_file_name: str | None = None,
        allowed_failed_count: int | None = None,
        allowed_failed_percent: float | None = None,
        partition_keys: Sequence[str] | None = None,
        environment_variables: Mapping[str, str] | None = None,
        *,
        engine: str | None = None,
        engine_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises UsageError with the first argument that makes no sense."""
        said = {name: value for name, value in locals().items() if name in KEYS}
        _check(said)
        self.environment = environment
        self.entry_script = str(entry_script)
        self.source_directory = None if source_directory is None else str(source_directory)
        self.error_threshold = int(said["error_threshold"])
        self.output_action = str(output_action)
        self.compute_target = _name_of(compute_target)
        self.node_count = int(said["node_count"])
        self.process_count_per_node = process_count_per_node
        self.mini_batch_size = None if mini_batch_size is None else str(mini_batch_size)
        self.description = description
        self.logging_level = logging_level.upper()
        self.run_invocation_timeout = run_invocation_timeout
        self.run_max_try = run_max_try
        self.append_row_file_name = append_row_file_name
        self.allowed_failed_count = allowed_failed_count
        self.allowed_failed_percent = allowed_failed_percent
        self.partition_keys = None if partition_keys is None else list(partition_keys)
        self.environment_variables = None if environment_variables is None else dict(environment_variables)
        self.engine = engine
        self.engine_options = None if engine_options is None else dict(engine_options)

    def script_path(self) -> Path:
        """The script on this machine. Raises UsageError when it is not there (any more)."""
        path = Path(self.source_directory or ".", self.entry_script)
        if not path.is_file():
            raise UsageError(f"entry_script {self.entry_script} does not exist{f' in {self.source_directory}' if self.source_directory else ''}.")
        return path

    def save_to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Writes every argument that was given.

        >>> config.save_to_yaml("parallel_run_config.yml")
        """
        said = {name: getattr(self, name) for name in KEYS if getattr(self, name) is not None}
        Path(path).write_text(yaml.safe_dump({**said, **_environment_said(self.environment)}, sort_keys=False), encoding="utf-8")

    @staticmethod
    def load_yaml(workspace: Workspace, path: str | os.PathLike[str]) -> ParallelRunConfig:
        """What `save_to_yaml` wrote, or a file of Azure ML's; an environment that it names is looked up in the workspace.

        >>> ParallelRunConfig.load_yaml(ws, "parallel_run_config.yml")
        """
        said = _read(Path(path))
        unknown = sorted(set(said) - {*KEYS, *_ENVIRONMENT_KEYS})
        if unknown:
            raise UsageError(f"{path}: {unknown[0]!r} is no word of a parallel run; it knows {', '.join(KEYS)}.")
        environment = _environment_of(workspace, said, Path(path))
        return ParallelRunConfig(environment, **{name: value for name, value in said.items() if name in KEYS})

    def __repr__(self) -> str:
        return f"ParallelRunConfig({self.entry_script!r}, mini_batch_size={self.mini_batch_size!r}, node_count={self.node_count})"


def _check(said: Mapping[str, Any]) -> None:
    absent = next((name for name in _NEEDED if said[name] is None), None)
    if absent is not None:
        raise UsageError(f"ParallelRunConfig needs {absent}.")
    _check_words(said)
    for name, least in (("error_threshold", -1), ("allowed_failed_count", -1), ("node_count", 1), ("process_count_per_node", 1), ("run_max_try", 1)):
        _check_whole(name, said[name], least)
    timeout, percent = said["run_invocation_timeout"], said["allowed_failed_percent"]
    if not _is_number(timeout) or timeout <= 0:
        raise UsageError(f"run_invocation_timeout {timeout!r}: say seconds, more than 0.")
    if percent is not None and not (_is_number(percent) and 0 <= percent <= 100):
        raise UsageError(f"allowed_failed_percent {percent!r}: say a number from 0 to 100.")
    if said["mini_batch_size"] is not None:
        mini_batch(said["mini_batch_size"], over_files=True)


def _check_words(said: Mapping[str, Any]) -> None:
    action, level, keys = said["output_action"], said["logging_level"], said["partition_keys"]
    if action not in ACTIONS:
        raise UsageError(f"output_action {action!r}: say append_row (all results in one file) or summary_only (the script writes its own files).")
    if said["append_row_file_name"] is not None and action != "append_row":
        raise UsageError(f"append_row_file_name is for output_action append_row, and this is {action}; leave it out.")
    if not isinstance(level, str) or level.upper() not in LEVELS:
        raise UsageError(f"logging_level {level!r}: say {', '.join(LEVELS)}.")
    if keys is not None and (isinstance(keys, str) or not keys):
        raise UsageError(f"partition_keys {keys!r}: give a list of columns.")
    if keys is not None and said["mini_batch_size"] is not None:
        raise UsageError("partition_keys and mini_batch_size both say what a mini-batch is; give one.")


def _check_whole(name: str, value: Any, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise UsageError(f"{name} {value!r}: say a whole number, {least} at least.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name_of(compute_target: object) -> str | None:
    """Its own, or that of the object."""
    if compute_target is None or isinstance(compute_target, str):
        return compute_target
    name = getattr(compute_target, "name", None)
    if not isinstance(name, str):
        raise UsageError(f"compute_target {compute_target!r}: give a compute target, or its name.")
    return name


def _environment_said(environment: Environment | None) -> dict[str, Any]:
    if environment is None:
        return {}
    if environment.version is not None:
        return {"environment_name": environment.name, "environment_version": environment.version}
    return {"environment": environment.to_json()}


def _environment_of(workspace: Workspace, said: Mapping[str, Any], path: Path) -> Environment | None:
    """By name, or as it is written in the file."""
    written, name = said.get("environment"), said.get("environment_name")
    if isinstance(written, str):
        name, written = written, None
    if name is not None:
        return Environment.get(workspace, name, said.get("environment_version"))
    if written is None:
        return None
    if not isinstance(written, Mapping):
        raise UsageError(f"{path}: environment must be a name or a mapping.")
    return Environment.from_json(dict(written))


def _read(path: Path) -> dict[str, Any]:
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read ({error}).") from error
    if not isinstance(said, dict):
        raise UsageError(f"{path} must be a mapping with entry_script and the other words of a ParallelRunConfig.")
    return {str(name): value for name, value in said.items() if value is not None}

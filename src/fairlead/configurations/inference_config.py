"""Inference configurations: which script serves the model, from which folder, with which packages. New form (`environment: {...}`) and old (`condaFile`).

Paths: `sourceDirectory` (default: the file's own folder) is looked for beside the file, then in the working directory, as the seeds' command line did;
the one that has the entry script is taken. All other paths are inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fairlead.configurations.environment_block import NamedEnvironment, read_environment
from fairlead.configurations.keys import boolean, load, plain, recognised, text
from fairlead.configurations.scripts import check_syntax
from fairlead.configurations.source_folder import SourceFolder
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError

_KNOWN = {
    plain(name): name
    for name in (
        "entryScript", "sourceDirectory", "environment", "description", "runtime", "condaFile", "extraDockerfileSteps", "schemaFile", "enableGpu", "baseImage",
        "baseImageRegistry", "cudaVersion",
    )
} | {"executionscript": "entryScript"}  # fmt: skip
_BESIDE_ENVIRONMENT = frozenset(("entryScript", "sourceDirectory", "environment", "description", "schemaFile"))
_RUNTIMES = ("python", "python-slim", "spark-py")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceConfiguration:
    """`entry_script` and `schema_file` are relative to `source_directory`, with slashes. `docker`: kept for images, in the names of `environment_block`."""

    entry_script: str
    source_directory: Path
    spec: EnvironmentSpec | NamedEnvironment | None = None
    docker: Mapping[str, Any] = field(default_factory=dict)
    schema_file: str | None = None
    description: str | None = None
    runtime: str | None = None
    enable_gpu: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = field(default=(), compare=False)

    def to_json(self) -> dict[str, Any]:
        """What the server needs; the folder itself goes by its digest."""
        environment = {"name": self.spec.name, "version": self.spec.version} if isinstance(self.spec, NamedEnvironment) else None
        return {
            "entry_script": self.entry_script,
            "spec": self.spec.to_json() if isinstance(self.spec, EnvironmentSpec) else None,
            "environment": environment,
            "docker": dict(self.docker),
            "schema_file": self.schema_file,
            "description": self.description,
            "runtime": self.runtime,
            "enable_gpu": self.enable_gpu,
            "variables": dict(self.variables),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], source_directory: Path) -> Self:
        """What to_json() gave, with the folder as it lies here. Raises UsageError."""
        values = dict(content)
        spec, named = values.pop("spec", None), values.pop("environment", None)
        try:
            environment = EnvironmentSpec.from_json(spec) if spec is not None else NamedEnvironment(**named) if named is not None else None
            return cls(**values, source_directory=source_directory, spec=environment)
        except TypeError as fault:
            raise UsageError(f"This is no inference configuration: {fault}.") from None


def read_inference_config(path: Path, *, working_directory: Path | None = None) -> InferenceConfiguration:
    """Reads the file and checks the script's syntax; runs nothing. Raises UsageError with file, key, value and cure."""
    folders = (path.resolve().parent, (working_directory or Path.cwd()).resolve())
    return inference_configuration(load(path), where=str(path), folders=folders)


def inference_configuration(content: Mapping[str, Any], *, where: str, folders: tuple[Path, ...]) -> InferenceConfiguration:
    """The same for keys that are already read, as the SDK has them; `environment` may be a spec or a NamedEnvironment then."""
    notices: list[str] = []
    said = recognised(content, _KNOWN, where, notices)
    if "entryScript" not in said:
        raise UsageError(f"{where}: entryScript is not set. Write entryScript: score.py, relative to sourceDirectory.")
    source = SourceFolder.find(said, where, folders, notices)
    block = read_environment(_environment_keys(said, where, notices), where, source, notices)
    script = source.inside(said["entryScript"], "entryScript", where)
    if script.suffix != ".py":
        raise UsageError(f"{where}: entryScript is {said['entryScript']!r}; it must be a Python file (.py).")
    python = block.spec.python if isinstance(block.spec, EnvironmentSpec) else None
    check_syntax(script, python, f"{where}: entryScript", notices)
    schema = source.inside(said["schemaFile"], "schemaFile", where) if "schemaFile" in said else None
    return InferenceConfiguration(
        entry_script=source.relative(script),
        source_directory=source.path,
        spec=block.spec,
        docker=block.docker,
        schema_file=source.relative(schema) if schema else None,
        description=text(said["description"], "description", where) if "description" in said else None,
        runtime=_runtime(said, where),
        enable_gpu=boolean(said.get("enableGpu", False), "enableGpu", where),
        variables=block.variables,
        notices=tuple(notices),
    )


def _environment_keys(said: dict[str, Any], where: str, notices: list[str]) -> dict[str, Any]:
    """What concerns packages and images. An environment block stands alone; a bare name beside a conda file is only a name."""
    environment = said.get("environment")
    others = sorted(name for name, value in said.items() if name not in _BESIDE_ENVIRONMENT and value is not False)
    if isinstance(environment, str) and "condaFile" in said:
        notices.append(f"{where}: environment {environment!r} is only a name here; the packages are those of condaFile.")
        return {name: value for name, value in said.items() if name != "environment"}
    if environment is not None and others and not isinstance(environment, str):
        raise UsageError(f"{where}: {', '.join(others)} cannot stand beside 'environment', which says all of it. Move it into the environment, or delete it.")
    return said


def _runtime(said: Mapping[str, Any], where: str) -> str | None:
    if "runtime" not in said:
        return None
    if said["runtime"] not in _RUNTIMES:
        raise UsageError(f"{where}: runtime is {said['runtime']!r}; it must be one of {', '.join(_RUNTIMES)}.")
    return str(said["runtime"])

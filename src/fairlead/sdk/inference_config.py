"""What answers requests: a scoring script, the files that ship with it, and the packages it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.configurations.environment_block import NamedEnvironment
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError
from fairlead.sdk.deploying import Source
from fairlead.sdk.environment import Environment
from fairlead.sdk.runtimes import check_runtime, packages_of

_FOR_IMAGES = ("extra_docker_file_steps", "enable_gpu", "base_image", "base_image_registry", "cuda_version")


class InferenceConfig:
    """A scoring script with its environment; the keyword is `entry_script`, in older programs `execution_script`.

    Without `source_directory` the script ships alone; with it the folder ships, less what its .amlignore or .gitignore lists, and the paths of
    the other files are relative to it. The environment is a conda file, a requirements file or an `Environment`; with none of them the service
    runs with what its models' frameworks need. What only images use (base_image, extra_docker_file_steps, enable_gpu, ...) is kept with the
    deployment and has no effect on a service of this machine.

        >>> InferenceConfig(entry_script="score.py", conda_file="myenv.yml")
        >>> InferenceConfig(entry_script="score.py", source_directory="src", environment=Environment.get(ws, "scoring"))
    """

    def __init__(
        self,
        entry_script: str | os.PathLike[str] | None = None,
        runtime: str | None = None,
        conda_file: str | os.PathLike[str] | None = None,
        extra_docker_file_steps: str | os.PathLike[str] | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        enable_gpu: bool | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: Mapping[str, str] | None = None,
        cuda_version: str | None = None,
        environment: Environment | None = None,
        *,
        execution_script: str | os.PathLike[str] | None = None,
        requirements_file: str | os.PathLike[str] | None = None,
        schema_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Raises UsageError for files that are not there and words that exclude each other."""
        if entry_script is not None and execution_script is not None:
            raise UsageError("entry_script and execution_script are two words for one thing; give one.")
        script = entry_script if entry_script is not None else execution_script
        if script is None:
            raise UsageError('An InferenceConfig needs a script: InferenceConfig(entry_script="score.py").')
        given = dict(locals())
        if environment is not None:
            _refuse_beside_environment(given)
        if conda_file is not None and requirements_file is not None:
            raise UsageError("conda_file and requirements_file are two ways to say the same; give one.")
        self.source_directory = Path(source_directory) if source_directory is not None else None
        self.entry_script = Path(script)
        self.conda_file = self._inside(conda_file, "conda_file")
        self.requirements_file = self._inside(requirements_file, "requirements_file")
        self.schema_file = self._inside(schema_file, "schema_file")
        self.extra_docker_file_steps = self._inside(extra_docker_file_steps, "extra_docker_file_steps")
        self.runtime = check_runtime(runtime)
        self.environment = environment
        self.description = description
        self.for_images = {name: given[name] for name in _FOR_IMAGES if given[name]}
        self.script_path()

    def script_path(self) -> Path:
        """The script on this machine. Raises UsageError when it is not there (any more)."""
        found = self._inside(self.entry_script, "entry_script")
        if found is None or not found.is_file():
            raise UsageError(f"Script {self.entry_script} does not exist{f' in {self.source_directory}' if self.source_directory else ''}.")
        return found

    def source(self) -> Source:
        """The script and its folder, for a deployment."""
        return Source(script=self.script_path(), folder=self.source_directory, schema=self.schema_file, record=self.to_json())

    def packages(self) -> EnvironmentSpec | NamedEnvironment | None:
        """As they are said now; None leaves them to the models. Files are read again each time."""
        if self.environment is not None:
            return None if self.environment.is_of_its_base else self.environment.wish()
        if self.conda_file is not None:
            return EnvironmentSpec.from_conda(self.conda_file)
        if self.requirements_file is not None:
            return EnvironmentSpec.from_requirements(self.requirements_file)
        packages = packages_of(self.runtime)
        return EnvironmentSpec(requirements=packages) if packages else None

    def docker(self) -> dict[str, Any]:
        """What concerns images, in the names of `configurations.environment_block`. Files are read again each time."""
        said: dict[str, Any] = {name: self.for_images.get(name) for name in ("base_image", "base_image_registry", "cuda_version")}
        if self.extra_docker_file_steps is not None:
            said["extra_steps"] = self.extra_docker_file_steps.read_text(encoding="utf-8-sig")
        if self.environment is not None:
            section = self.environment.docker
            said |= {"base_image": section.base_image, "base_dockerfile": section.base_dockerfile, "base_image_registry": section.base_image_registry}
            said["user_managed"] = self.environment.is_of_its_base
        return {name: value for name, value in said.items() if value}

    def to_json(self) -> dict[str, Any]:
        """As the file inferenceconfig.json says it: for the record of a deployment, and for its images."""
        said: dict[str, Any] = {
            "entryScript": self.entry_script.as_posix(),
            "sourceDirectory": str(self.source_directory.absolute()) if self.source_directory else None,
            "scriptPath": str(self.script_path().absolute()),
            "runtime": self.runtime,
            "condaFile": _text(self.conda_file),
            "extraDockerfileSteps": _text(self.extra_docker_file_steps),
            "schemaFile": _text(self.schema_file),
            "description": self.description,
            "environment": self.environment.to_json() if self.environment is not None else None,
            "baseImage": self.for_images.get("base_image"),
            "enableGpu": self.for_images.get("enable_gpu"),
            "cudaVersion": self.for_images.get("cuda_version"),
        }
        return {name: value for name, value in said.items() if value is not None}

    def __repr__(self) -> str:
        return f"InferenceConfig({self.entry_script.as_posix()!r})"

    def _inside(self, path: str | os.PathLike[str] | None, word: str) -> Path | None:
        """A path relative to the source folder, or else to here; it must lie in the source folder if there is one."""
        if path is None:
            return None
        if self.source_directory is None:
            return _existing(Path(path), word)
        if not self.source_directory.is_dir():
            raise UsageError(f"source_directory {self.source_directory} does not exist.")
        inside, here = self.source_directory / path, Path(path)
        found = inside if inside.exists() else _existing(here, word)
        if not found.resolve().is_relative_to(self.source_directory.resolve()):
            raise UsageError(f"{word} {path} does not lie in source_directory {self.source_directory}. Copy it there, or leave source_directory out.")
        return found


def _existing(path: Path, word: str) -> Path:
    if not path.is_file():
        raise UsageError(f"{word} {path} does not exist.")
    return path


def _refuse_beside_environment(given: Mapping[str, Any]) -> None:
    words = ("runtime", "conda_file", "requirements_file", *_FOR_IMAGES)
    beside = next((word for word in words if given[word] not in (None, False)), None)
    if beside is not None:
        raise UsageError(f"{beside} and environment say the same thing twice; put {beside} into the Environment, or leave that out.")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)

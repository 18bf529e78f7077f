"""Named sets of packages, with the methods that Azure ML programs call."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fairlead.client import environments as client
from fairlead.configurations.environment_block import NamedEnvironment
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import EnvironmentFailure, UsageError
from fairlead.schemas.environments import EnvironmentBuild, EnvironmentVersion
from fairlead.sdk.conda_dependencies import CondaDependencies

if TYPE_CHECKING:
    from fairlead.sdk.workspace import Workspace

LOG = logging.getLogger("fairlead")
PAUSE = 0.3  # seconds
DEFINITION = "azureml_environment.json"


@dataclass(kw_only=True)
class PythonSection:
    """What Python runs, with which packages."""

    conda_dependencies: CondaDependencies = field(default_factory=CondaDependencies)
    user_managed_dependencies: bool = False
    interpreter_path: str = "python"


@dataclass(kw_only=True)
class DockerSection:
    """For images; without effect on a service of this machine."""

    enabled: bool = False
    base_image: str | None = None
    base_dockerfile: str | None = None
    base_image_registry: Mapping[str, str] = field(default_factory=dict)


class Environment:
    """Packages, Python version and variables under a name; registering gives it versions that never change.

    >>> env = Environment.from_pip_requirements("scoring", "requirements.txt")
    >>> env.environment_variables["LOG_LEVEL"] = "debug"
    >>> env.register(ws).version
    '1'
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.version: str | None = None
        self.python = PythonSection()
        self.docker = DockerSection()
        self.environment_variables: dict[str, str] = {}
        self.inferencing_stack_version: str | None = None
        self._given: EnvironmentSpec | None = None

    @classmethod
    def from_conda_specification(cls, name: str, file_path: str | os.PathLike[str]) -> Self:
        """From a conda file.

        >>> Environment.from_conda_specification("scoring", "myenv.yml")
        """
        made = cls(name)
        EnvironmentSpec.from_conda(Path(file_path))  # what cannot be used is said here, not at the deployment
        made.python.conda_dependencies = CondaDependencies(file_path)
        return made

    @classmethod
    def from_pip_requirements(cls, name: str, file_path: str | os.PathLike[str], pip_version: str | None = None) -> Self:
        """From a requirements file; lines that all carry hashes are taken as the lock they are.

        >>> Environment.from_pip_requirements("scoring", "requirements.txt")
        """
        return cls._from_spec(name, EnvironmentSpec.from_requirements(Path(file_path)))

    @classmethod
    def from_interpreter(cls, name: str, python: str | os.PathLike[str]) -> Self:
        """Exactly what is installed in a virtual environment or for an interpreter.

        >>> Environment.from_interpreter("as-trained", sys.executable)
        """
        return cls._from_spec(name, EnvironmentSpec.from_interpreter(Path(python)))

    @classmethod
    def from_existing_conda_environment(cls, name: str, conda_environment_name: str) -> Self:
        """Not here: conda's environments are not read by name. Raises UsageError with the two commands that do the same."""
        cure = f"`conda env export -n {conda_environment_name} --from-history > {name}.yml`, then Environment.from_conda_specification({name!r}, '{name}.yml')"
        raise UsageError(f"Conda's environment {conda_environment_name!r} is not read by name: {cure}.")

    @classmethod
    def from_docker_image(cls, name: str, image: str, conda_file: str | None = None, pip_requirements: str | None = None) -> Self:
        """Keeps the image for images to come; packages from the conda or requirements file.

        >>> Environment.from_docker_image("scoring", "python:3.11-slim", conda_file="myenv.yml")
        """
        made = cls._from_files(name, conda_file, pip_requirements)
        made.docker.base_image = image
        return made

    @classmethod
    def from_dockerfile(
        cls, name: str, dockerfile: str | os.PathLike[str], conda_specification: str | None = None, pip_requirements: str | None = None
    ) -> Self:
        """Images are built upon what the Dockerfile, a path or its text, makes; without packages here, those that it has installed are used.

        >>> Environment.from_dockerfile("scoring", "Dockerfile", pip_requirements="requirements.txt")
        """
        made = cls._from_files(name, conda_specification, pip_requirements)
        made.docker.base_dockerfile = _dockerfile(dockerfile)
        made.python.user_managed_dependencies = not (conda_specification or pip_requirements)
        return made

    @property
    def is_of_its_base(self) -> bool:
        """Its packages are those that a base image, or a Dockerfile, brings; nothing is installed."""
        return self.python.user_managed_dependencies and bool(self.docker.base_image or self.docker.base_dockerfile)

    def wish(self) -> EnvironmentSpec | NamedEnvironment:
        """For a deployment: the registered version by its name, or what is to be built."""
        return NamedEnvironment(name=self.name, version=self.version) if self.version is not None else self.spec()

    def spec(self) -> EnvironmentSpec:
        """What is to be locked and built. Raises UsageError, also for `user_managed_dependencies`, which leaves nothing to build."""
        if self.python.user_managed_dependencies:
            raise UsageError(
                f"Environment {self.name!r} is user-managed, so there is nothing to build. Take its packages with Environment.from_interpreter(name, PYTHON)."
            )
        if self._given is not None:
            said = self._given.to_json()
        else:
            said = EnvironmentSpec.from_conda(self.python.conda_dependencies.as_dict(), where=f"environment {self.name}").to_json()
        return EnvironmentSpec.from_json({**said, "variables": {**said.get("variables", {}), **self.environment_variables}})

    def register(self, workspace: Workspace, *, description: str = "", tags: Mapping[str, str] | None = None) -> Environment:
        """The next version of the name, locked by the server; the latest one when it says the same. Raises EnvironmentFailure.

        >>> env.register(ws).version
        '1'
        """
        made = client.create(workspace.transport, self.name, self.spec().to_json(), description=description, tags=tags)
        self.version = str(made.version)
        return self

    @classmethod
    def get(cls, workspace: Workspace, name: str, version: str | int | None = None, label: str | None = None) -> Environment:
        """A registered version; the latest without one. Raises NotFound.

        >>> Environment.get(ws, "scoring", version=2)
        """
        if label not in (None, "latest", "Latest"):
            raise UsageError(f"Environments have no label {label!r}; give a version, or the label latest.")
        return cls._from_version(client.show(workspace.transport, name, str(version or "latest")))

    @classmethod
    def list(cls, workspace: Workspace) -> dict[str, Environment]:
        """The latest version of each registered environment, by name.

        >>> sorted(Environment.list(ws))
        ['scoring']
        """
        names = [each.name for each in client.list_all(workspace.transport) if each.latest_version]
        return {name: cls.get(workspace, name) for name in names}

    def build(self, workspace: Workspace, image_build_compute: str | None = None) -> BuiltEnvironment:
        """Registers it if need be, and builds it on the server's machine, so that the first deployment need not. Raises EnvironmentFailure.

        >>> env.build(ws).state
        'built'
        """
        if self.version is None:
            self.register(workspace)
        version = str(self.version)
        client.build(workspace.transport, self.name, version)
        done = client.follow_build(workspace.transport, self.name, version, LOG.info, lambda: time.sleep(PAUSE))  # noqa: TID251 - by the clock
        if done.state != "built":
            raise EnvironmentFailure(f"Environment {self.name}:{version} could not be built: {done.message}", cause=done.cause)
        return BuiltEnvironment.model_validate(done.model_dump())

    def clone(self, new_name: str) -> Environment:
        """The same under another name, without a version.

        >>> env.clone("scoring-gpu")
        """
        made = Environment.from_json({**self.to_json(), "name": new_name})
        made.version = None
        return made

    def save_to_directory(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Writes the environment's files into a folder; refused when it holds one already, unless `overwrite`.

        >>> env.save_to_directory("env")
        """
        target = Path(path) / DEFINITION
        if target.exists() and not overwrite:
            raise UsageError(f"{target} exists; say overwrite=True, or choose another folder.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load_from_directory(cls, path: str | os.PathLike[str]) -> Environment:
        """What `save_to_directory` wrote.

        >>> Environment.load_from_directory("env").name
        'scoring'
        """
        source = Path(path) / DEFINITION
        try:
            said = json.loads(source.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{source} cannot be read ({error}); write it with save_to_directory().") from error
        return cls.from_json(said)

    def to_json(self) -> dict[str, Any]:
        """As inferenceconfig.json holds an environment."""
        said: dict[str, Any] = {"name": self.name, "version": self.version, "environmentVariables": dict(self.environment_variables) or None}
        if self._given is not None:
            said["spec"] = self._given.to_json()
        else:
            said["python"] = {
                "userManagedDependencies": self.python.user_managed_dependencies,
                "interpreterPath": self.python.interpreter_path,
                "condaDependencies": self.python.conda_dependencies.as_dict(),
            }
        if self.docker.base_image or self.docker.base_dockerfile:
            said["docker"] = {"baseImage": self.docker.base_image, "baseDockerfile": self.docker.base_dockerfile}
        said["inferencingStackVersion"] = self.inferencing_stack_version
        return {name: value for name, value in said.items() if value is not None}

    def __repr__(self) -> str:
        return f"Environment({self.name!r}, version={self.version!r})"

    @classmethod
    def _from_files(cls, name: str, conda_file: str | None, pip_requirements: str | None) -> Self:
        if conda_file:
            return cls.from_conda_specification(name, conda_file)
        return cls.from_pip_requirements(name, pip_requirements) if pip_requirements else cls(name)

    @classmethod
    def _from_spec(cls, name: str, spec: EnvironmentSpec) -> Self:
        made = cls(name)
        made._given = spec
        return made

    @classmethod
    def _from_version(cls, found: EnvironmentVersion) -> Self:
        made = cls._from_spec(found.name, EnvironmentSpec.from_json(found.spec))
        made.version = str(found.version)
        return made

    @classmethod
    def from_json(cls, said: Any) -> Environment:
        """What `to_json` gave. Raises UsageError."""
        if not isinstance(said, dict) or not isinstance(said.get("name"), str):
            raise UsageError("This is no environment: it has no name.")
        made = cls._from_spec(said["name"], EnvironmentSpec.from_json(said["spec"])) if "spec" in said else cls(said["name"])
        made.version = said.get("version")
        made.environment_variables = dict(said.get("environmentVariables") or {})
        made.inferencing_stack_version = said.get("inferencingStackVersion")
        python, docker = said.get("python") or {}, said.get("docker") or {}
        made.python.user_managed_dependencies = python.get("userManagedDependencies", False) is True
        made.python.interpreter_path = python.get("interpreterPath") or "python"
        made.python.conda_dependencies = CondaDependencies(_underlying_structure=python.get("condaDependencies"))
        made.docker.base_image, made.docker.base_dockerfile = docker.get("baseImage"), docker.get("baseDockerfile")
        return made


class BuiltEnvironment(EnvironmentBuild):
    """What `build` gives, when it is over."""

    @property
    def status(self) -> str:
        """As Azure ML says it."""
        return "Succeeded"

    def wait_for_completion(self, show_output: bool = True) -> Self:
        """Itself: `build` has waited.

        >>> env.build(ws).wait_for_completion(show_output=True).status
        'Succeeded'
        """
        if show_output and self.log:
            print(self.log)
        return self


def _dockerfile(said: str | os.PathLike[str]) -> str:
    """The text itself, or a file's."""
    if isinstance(said, str) and ("\n" in said or said.lstrip().upper().startswith("FROM ")):
        return said
    try:
        return Path(said).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The Dockerfile {said} cannot be read ({error}).") from error

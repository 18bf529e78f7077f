"""What an inference configuration says about packages and images, in the old form (condaFile, baseImage …) and in the new (environment: {docker, python …}).

What concerns images is kept under these names: base_image, base_dockerfile (text), base_image_registry (address, username), extra_steps (text),
cuda_version, shm_size, arguments, user_managed (its packages are the base's). A registry's password is never kept; `password: secret:NAME` names a secret
of the workspace, kept as password_secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.configurations.keys import boolean, mapping, plain, recognised, text
from fairlead.configurations.source_folder import SourceFolder
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEnvironment:
    """One that is registered; `version`: None is the latest."""

    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What was read."""

    spec: EnvironmentSpec | NamedEnvironment | None = None
    docker: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


def _spellings(*names: str) -> dict[str, str]:
    return {plain(name): name for name in names}


_ENVIRONMENT = _spellings(
    "name", "version", "environmentVariables", "docker", "python", "spark", "databricks", "inferencingStackVersion", "r", "assetId", "autoRebuild"
)
_PYTHON = _spellings("userManagedDependencies", "interpreterPath", "condaDependencies", "condaDependenciesFile", "baseCondaEnvironment")
_DOCKER = _spellings(
    "enabled", "baseImage", "baseDockerfile", "baseImageRegistry", "sharedVolumes", "shmSize", "arguments", "gpuSupport", "platform", "buildContext"
)
_REGISTRY = _spellings("address", "username", "password", "registryIdentity")
SECRET = "secret:"  # noqa: S105 - what comes before its name
_NO_EFFECT = ("spark", "databricks", "inferencingStackVersion", "r", "assetId", "autoRebuild")


def read_environment(said: Mapping[str, Any], where: str, source: SourceFolder, notices: list[str]) -> Block:
    """`said`: the recognised keys of an inference configuration. Raises UsageError."""
    environment = said.get("environment")
    if environment is None:
        return Block(spec=_packages(said, "condaFile", where, source, notices), docker=_old_docker(said, where, source, notices))
    if isinstance(environment, EnvironmentSpec | NamedEnvironment):
        return Block(spec=environment, variables=environment.variables if isinstance(environment, EnvironmentSpec) else {})
    if isinstance(environment, str):
        return Block(spec=_named(environment, where), docker=_old_docker(said, where, source, notices))
    inner = f"{where}, environment"
    block = recognised(mapping(environment, "environment", where), _ENVIRONMENT, inner, notices)
    notices += [f"{inner}: {name} has no effect here." for name in _NO_EFFECT if _says_something(block.get(name))]
    variables = {str(name): str(value) for name, value in mapping(block.get("environmentVariables", {}), "environmentVariables", inner).items()}
    spec: EnvironmentSpec | NamedEnvironment | None = _new_packages(block, inner, source, notices)
    docker = _new_docker(block, inner, source, notices)
    if docker and spec is None and _is_user_managed(block, inner):
        docker["user_managed"] = True
    if spec is None and "name" in block and not docker and "python" not in block:
        spec = _named(block["name"], inner, block.get("version"))
    return Block(spec=spec, docker=docker, variables=variables)


def _new_packages(block: Mapping[str, Any], where: str, source: SourceFolder, notices: list[str]) -> EnvironmentSpec | None:
    where = f"{where}.python"
    python = recognised(mapping(block.get("python", {}), "python", where), _PYTHON, where, notices)
    if _is_user_managed(block, where.removesuffix(".python")):
        notices.append(f"{where}: userManagedDependencies is true: no packages are installed; those of the serving interpreter or image are used.")
        return None
    if python.get("baseCondaEnvironment") is not None:
        notices.append(f"{where}: baseCondaEnvironment has no effect here.")
    if "condaDependencies" in python and "condaDependenciesFile" in python:
        raise UsageError(f"{where}: condaDependencies and condaDependenciesFile are both set. Delete one.")
    if "condaDependencies" in python:
        inline = mapping(python["condaDependencies"], "condaDependencies", where)
        return _noticed(EnvironmentSpec.from_conda(inline, where=f"{where}.condaDependencies"), notices)
    return _packages(python, "condaDependenciesFile", where, source, notices)


def _is_user_managed(block: Mapping[str, Any], where: str) -> bool:
    """Packages are there already: those of the interpreter, or of the image."""
    python = recognised(mapping(block.get("python", {}), "python", where), _PYTHON, where, [])
    return boolean(python.get("userManagedDependencies", False), "userManagedDependencies", f"{where}.python")


def _packages(said: Mapping[str, Any], key: str, where: str, source: SourceFolder, notices: list[str]) -> EnvironmentSpec | None:
    """A conda file, as the seeds have it; a requirements file or a pyproject.toml is as good."""
    if key not in said:
        return None
    path = source.inside(said[key], key, where)
    if path.name == "pyproject.toml":
        return _noticed(EnvironmentSpec.from_pyproject(path), notices)
    if path.suffix == ".txt":
        return _noticed(EnvironmentSpec.from_requirements(path), notices)
    return _noticed(EnvironmentSpec.from_conda(path), notices)


def _old_docker(said: Mapping[str, Any], where: str, source: SourceFolder, notices: list[str]) -> dict[str, Any]:
    docker: dict[str, Any] = {}
    if "baseImage" in said:
        docker["base_image"] = text(said["baseImage"], "baseImage", where)
    if "baseImageRegistry" in said:
        docker["base_image_registry"] = _registry(said["baseImageRegistry"], where, notices)
    if "cudaVersion" in said:
        docker["cuda_version"] = str(said["cudaVersion"])
    if "extraDockerfileSteps" in said:
        docker["extra_steps"] = _text_of(source.inside(said["extraDockerfileSteps"], "extraDockerfileSteps", where))
    return {name: value for name, value in docker.items() if value}


def _new_docker(block: Mapping[str, Any], where: str, source: SourceFolder, notices: list[str]) -> dict[str, Any]:
    where = f"{where}.docker"
    said = recognised(mapping(block.get("docker", {}), "docker", where), _DOCKER, where, notices)
    if "baseImage" in said and "baseDockerfile" in said:
        raise UsageError(f"{where}: baseImage and baseDockerfile are both set. Delete one.")
    docker = _old_docker({name: value for name, value in said.items() if name in {"baseImage", "baseImageRegistry"}}, where, source, notices)
    if "baseDockerfile" in said:
        docker["base_dockerfile"] = _dockerfile(text(said["baseDockerfile"], "baseDockerfile", where), where, source)
    if "shmSize" in said:
        docker["shm_size"] = str(said["shmSize"])
    if arguments := said.get("arguments"):
        docker["arguments"] = [str(each) for each in arguments] if isinstance(arguments, list) else [text(arguments, "arguments", where)]
    if boolean(said.get("gpuSupport", False), "gpuSupport", where):
        docker["gpu"] = True
    return docker


def _dockerfile(said: str, where: str, source: SourceFolder) -> str:
    """The text itself, or a file's name: both are found in the wild."""
    if "\n" in said or said.lstrip().upper().startswith("FROM "):
        return said
    return _text_of(source.inside(said, "baseDockerfile", where))


def _registry(said: object, where: str, notices: list[str]) -> dict[str, str]:
    where = f"{where}, baseImageRegistry"
    registry = recognised(mapping(said, "baseImageRegistry", where), _REGISTRY, where, notices)
    password = str(registry.pop("password", None) or "")
    if password.startswith(SECRET):
        registry["password_secret"] = password.removeprefix(SECRET).strip()
    elif password:
        notices.append(f"{where}: the password is left out; a file is no place for it. `fairlead secret set NAME`, then write password: {SECRET}NAME.")
    return {name: str(value) for name, value in registry.items()}


def _named(name: object, where: str, version: object = None) -> NamedEnvironment:
    return NamedEnvironment(name=text(name, "name", where), version=None if version is None else str(version))


def _noticed(spec: EnvironmentSpec, notices: list[str]) -> EnvironmentSpec:
    notices += spec.notices
    return spec


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path} cannot be read as UTF-8 text.") from None


def _says_something(value: object) -> bool:
    """Empty lists inside, as the seeds' tools write them, say nothing."""
    if isinstance(value, Mapping):
        return any(_says_something(each) for name, each in value.items() if name != "precachePackages")
    return bool(value)

"""Reads pyproject.toml: what a project depends on, and uv.lock beside it as uv exports it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.environments import python_versions
from fairlead.environments.requirement_lines import read_text
from fairlead.environments.uv_command import run_uv
from fairlead.errors import UsageError

_EXPORT = ("export", "--frozen", "--format", "requirements.txt", "--no-dev", "--no-emit-workspace", "--no-header", "--no-annotate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`locked`: requirements with hashes, when there is a uv.lock."""

    python: str | None
    dependencies: tuple[str, ...]
    locked: str | None
    notices: tuple[str, ...]


def read_project(path: Path) -> Project:
    """`path`: pyproject.toml or its folder. Raises UsageError."""
    file = path / "pyproject.toml" if path.is_dir() else path
    project = _table(file)
    if "dependencies" in project.get("dynamic", ()):
        raise UsageError(f"{file}: the dependencies are dynamic; only running the project's build would tell them. Write a requirements file, or list them.")
    dependencies = project.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(each, str) for each in dependencies):
        raise UsageError(f"{file}: 'project.dependencies' must be a list of text.")
    lock = file.with_name("uv.lock")
    return Project(
        python=python_versions.minor_of(str(project.get("requires-python", "")), f"{file}, requires-python"),
        dependencies=tuple(dependencies),
        locked=_exported(file, lock) if lock.is_file() else None,
        notices=(f"{file}: the versions are those of {lock.name} beside it.",) if lock.is_file() else (),
    )


def _table(file: Path) -> dict[str, Any]:
    try:
        project = tomllib.loads(read_text(file)).get("project")
    except tomllib.TOMLDecodeError as fault:
        raise UsageError(f"{file} is no TOML: {fault}. Correct it.") from None
    if not isinstance(project, dict):
        raise UsageError(f"{file} has no table [project]. Write one with 'dependencies', or give a requirements file.")
    return project


def _exported(file: Path, lock: Path) -> str:
    done = run_uv([*_EXPORT, "--project", str(file.parent)], folder=file.parent)
    if done.code:
        last = next((line for line in done.output.splitlines() if line.startswith("error")), "no message")
        raise UsageError(f"{lock} cannot be read: {last.removeprefix('error: ')}. Run `uv lock` beside it, or delete it.")
    return done.text

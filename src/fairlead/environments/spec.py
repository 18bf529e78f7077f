"""What an environment is to hold, as a person gives it; locking makes it exact, building makes it real."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fairlead.environments import conda_file, project_file, python_versions, requirement_lines
from fairlead.environments.installed_packages import contents_of
from fairlead.environments.requirement_lines import OURS, SERVERS
from fairlead.errors import UsageError

_LISTS = ("requirements", "constraints", "conda_packages", "channels")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """Lines are pip's, free of addresses and folders, so that any machine can use them.

    python: a minor such as "3.11"; None takes that of the machine that locks. constraints: versions that hold if the package comes in at all.
    conda_packages, channels: what only conda has. variables: set for the script. lock: text that is locked already, with hashes.
    allow_source_builds: run the set-up code of packages that have no wheel. notices: what reading changed or left out, for a person; no part of the value.
    """

    python: str | None = None
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    conda_packages: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    lock: str | None = None
    allow_source_builds: bool = False
    notices: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Raises UsageError for a line that no other machine could use, whoever made the spec."""
        if self.python is not None:
            python_versions.checked(self.python, "python")
        for line in (*self.requirements, *self.constraints):
            requirement_lines.parsed(line, "requirements")
        if self.lock is not None:  # written anew from what was understood: nothing else reaches uv
            object.__setattr__(self, "lock", lock_text(requirement_lines.locked_lines(self.lock)))

    @classmethod
    def from_requirements(cls, source: Path | str, *, python: str | None = None) -> Self:
        """A Path is a file (`-r` and `-c` are read relative to it), a str its text. Lines that all carry hashes are a lock as they stand."""
        read = requirement_lines.read_requirements(source)
        lock = lock_text(read.lock()) if read.lock() else None
        return cls(python=python, requirements=tuple(read.requirements), constraints=tuple(read.constraints), lock=lock, notices=tuple(read.notices))

    @classmethod
    def from_conda(cls, source: Path | str | Mapping[str, Any], *, where: str = "conda file") -> Self:
        """A Path is a file, a str its text, a mapping its content. What becomes of conda's packages, `conda_file` says."""
        read = conda_file.read_conda(source, where)
        return cls(
            python=read.python,
            requirements=tuple(dict.fromkeys(read.requirements)),
            constraints=tuple(read.constraints),
            conda_packages=tuple(read.conda_packages),
            channels=tuple(read.channels) if read.conda_packages else (),
            variables=read.variables,
            notices=tuple(read.notices),
        )

    @classmethod
    def from_pyproject(cls, path: Path) -> Self:
        """The project's dependencies, without the project itself; a uv.lock beside it is the lock. The project's code belongs into the source folder."""
        read = project_file.read_project(path)
        lines = requirement_lines.read_list(list(read.dependencies), f"{path}, dependencies")
        exported = requirement_lines.read_requirements(read.locked or "")
        whole = len(exported.locked) == len(exported.requirements) > 0  # uv.lock has no hashes of packages that came from a folder
        return cls(
            python=read.python,
            requirements=tuple(lines.requirements),
            constraints=() if whole else tuple(exported.requirements),
            lock=lock_text(exported.locked) if whole else None,
            notices=(*read.notices, *lines.notices),
        )

    @classmethod
    def from_interpreter(cls, python: Path) -> Self:
        """Exactly what is installed there, less Fairlead, pip and what came from a folder or repository (named in a notice)."""
        contents = contents_of(python)
        lines, notices = [], []
        for name, each in sorted(contents.distributions.items()):
            if name in OURS | SERVERS | {"pip", "wheel"}:
                continue
            public = each.version.split("+")[0]
            if each.origin is not None:
                notices.append(f"{each.name} is left out: it was installed from {each.origin}, not from an index. If the script needs it, {_SHIP_IT}")
                continue
            if public != each.version:
                notices.append(f"{each.name} {each.version} is asked for as {public}: what follows the + is a build that other indexes need not have.")
            lines.append(f"{each.name}=={public}")
        return cls(python=python_versions.checked(contents.python, str(python)), requirements=tuple(lines), notices=tuple(notices))

    @classmethod
    def from_lock(cls, text: str, *, python: str) -> Self:
        """Text that is locked already: every line pinned and hashed. Raises UsageError otherwise."""
        read = requirement_lines.read_requirements(text)
        return cls(python=python, requirements=tuple(read.requirements), lock=text, notices=tuple(read.notices))

    @classmethod
    def from_json(cls, content: object) -> Self:
        """What to_json() gave. Raises UsageError."""
        known = {*_LISTS, "python", "variables", "lock", "allow_source_builds"}
        if not isinstance(content, Mapping) or not set(content) <= known:
            strange = sorted(set(content) - known) if isinstance(content, Mapping) else content
            raise UsageError(f"Environment: {strange!r} is not understood. Known are {', '.join(sorted(known))}.")
        lists = {name: _strings(content[name], name) for name in _LISTS if name in content}
        variables = content.get("variables") or {}
        if not isinstance(variables, Mapping) or not all(isinstance(each, str) for pair in variables.items() for each in pair):
            raise UsageError("Environment: 'variables' must be text by name.")
        for name, kind, said in (("python", str, "text"), ("lock", str, "text"), ("allow_source_builds", bool, "true, false")):
            if not isinstance(content.get(name), kind | None):
                raise UsageError(f"Environment: {name!r} must be {said} or null.")
        return cls(
            **lists,
            python=content.get("python"),
            variables=dict(variables),
            lock=content.get("lock"),
            allow_source_builds=bool(content.get("allow_source_builds")),
        )

    def to_json(self) -> dict[str, Any]:
        """Only what is set; the same spec gives the same."""
        content: dict[str, Any] = {name: list(getattr(self, name)) for name in _LISTS}
        content |= {"python": self.python, "variables": dict(sorted(self.variables.items())), "lock": self.lock}
        content |= {"allow_source_builds": self.allow_source_builds}
        return {name: value for name, value in content.items() if value}

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what gets installed: specs that differ in variables alone are the same."""
        content = {name: value for name, value in self.to_json().items() if name != "variables"}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_SHIP_IT = "ship its code in the source folder, or build a wheel for your index."


def lock_text(lines: list[str]) -> str:
    """One layout for locks, whoever locked: sorted, a hash per line, no comments."""
    laid_out = []
    for line in lines:
        requirement, *hashes = line.split(" --hash=")
        laid_out.append(" \\\n".join((requirement.strip(), *(f"    --hash={each}" for each in sorted(hashes)))))
    return "".join(f"{each}\n" for each in sorted(laid_out, key=str.lower))


def _strings(said: object, name: str) -> tuple[str, ...]:
    if not isinstance(said, list | tuple) or not all(isinstance(each, str) for each in said):
        raise UsageError(f"Environment: {name!r} must be a list of text.")
    return tuple(said)

"""Environments: names with dense versions, each a specification, locked once; their differences, builds and uses."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from fairlead.errors import UsageError
from fairlead.schemas.spelling import Spelling
from fairlead.schemas.wire import Answer, Flag, Key, Request, Stamped, Text

EnvironmentName = Annotated[str, Spelling.of_letters("name for an environment", 255)]
_REFERENCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,254})(?::([1-9][0-9]{0,8}|latest))?")


class NewEnvironmentVersion(Request):
    """`spec`: an EnvironmentSpec as JSON. Locked before anything is written. If the latest version is the same already, it is the answer."""

    name: EnvironmentName
    spec: dict[str, Any]
    description: Text = ""
    tags: Annotated[dict[Key, Text], Field(max_length=200)] = Field(default_factory=dict)


class EnvironmentChange(Request):
    """What can change of a version. Tags are replaced one by one; null removes one. Archived ones are no `latest`."""

    description: Text | None = None
    tags: dict[Key, Text | None] | None = None
    archived: Flag | None = None


class EnvironmentVersion(Stamped):
    """`lock_digest`: of the lock's text alone. `packages`: name to pinned version. `lock`: only where one version is shown."""

    name: str
    version: int
    python: str
    requirements: list[str]
    variables: dict[str, str]
    spec: dict[str, Any]
    lock_digest: str
    packages: dict[str, str]
    lock: str | None = None
    description: str = ""
    tags: dict[str, str]
    archived: bool = False
    updated_at: datetime

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.version}"


class Environment(Stamped):
    """A name, and what its versions come to. latest_version: 0 when all are archived or deleted."""

    name: str
    latest_version: int
    versions: int
    updated_at: datetime


class EnvironmentDifference(Answer):
    """Of two versions. packages and variables: name to [before, after]; null where it is not there."""

    first: str
    second: str
    python: list[str] | None = None
    packages: dict[str, list[str | None]]
    variables: dict[str, list[str | None]]


class EnvironmentBuild(Answer):
    """Of a version on this server's machine. `log`: what was said since `offset`; ask again with `next_offset`."""

    state: Literal["absent", "building", "built", "failed"]
    digest: str
    message: str = ""
    cause: str | None = None
    size: int | None = None
    log: str = ""
    next_offset: int = 0


class EnvironmentUse(Answer):
    """A place where a version is used now, or was."""

    kind: str
    name: str
    revision: int
    version: int
    current: bool
    since: datetime
    until: datetime | None = None


def parse_environment(said: str) -> tuple[str, str]:
    """`NAME` or `NAME:VERSION` as name and version, which is `latest` unless it is said. Raises UsageError."""
    found = _REFERENCE.fullmatch(said)
    if found is None:
        raise UsageError(f"{said[:100]!r} names no environment; write NAME or NAME:VERSION, such as scoring:3.")
    return found[1], found[2] or "latest"

"""Registered environments, as the server has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fairlead.client.transport import Transport
from fairlead.schemas.environments import (
    Environment,
    EnvironmentBuild,
    EnvironmentChange,
    EnvironmentDifference,
    EnvironmentUse,
    EnvironmentVersion,
    NewEnvironmentVersion,
)


def create(transport: Transport, name: str, spec: Mapping[str, Any], *, description: str = "", tags: Mapping[str, str] | None = None) -> EnvironmentVersion:
    """`spec`: EnvironmentSpec.to_json(). The next version, locked; the latest one when it says the same. Raises EnvironmentFailure."""
    body = NewEnvironmentVersion(name=name, spec=dict(spec), description=description, tags=dict(tags or {}))
    return transport.create(EnvironmentVersion, transport.path("environments"), body)


def list_all(transport: Transport, *, name: str | None = None) -> Iterator[Environment]:
    """`name`: a part of it."""
    return transport.each(Environment, transport.path("environments"), {"name": name})


def versions(transport: Transport, name: str) -> Iterator[EnvironmentVersion]:
    """Newest first, without their locks."""
    return transport.each(EnvironmentVersion, transport.path("environments", name, "versions"))


def show(transport: Transport, name: str, version: str = "latest") -> EnvironmentVersion:
    """With its lock. Raises NotFound."""
    return transport.get(EnvironmentVersion, _path(transport, name, version))


def change(transport: Transport, name: str, version: str, body: EnvironmentChange) -> EnvironmentVersion:
    return transport.send(EnvironmentVersion, "PATCH", _path(transport, name, version), body=body).value


def compare(transport: Transport, name: str, first: str, second: str = "latest") -> EnvironmentDifference:
    return transport.get(EnvironmentDifference, transport.path("environments", name, "diff"), {"first": first, "second": second})


def uses(transport: Transport, name: str, version: str = "latest", *, current: bool | None = None) -> Iterator[EnvironmentUse]:
    """Newest first."""
    asked = None if current is None else str(current).lower()
    return transport.each(EnvironmentUse, f"{_path(transport, name, version)}/uses", {"current": asked})


def delete(transport: Transport, name: str, version: str | None = None) -> None:
    """One version, or all with the name. Raises InUse."""
    path = transport.path("environments", name) if version is None else _path(transport, name, version)
    transport.request("DELETE", path)


def build(transport: Transport, name: str, version: str = "latest") -> EnvironmentBuild:
    """Begins a build on the server's machine and returns at once."""
    return transport.send(EnvironmentBuild, "POST", f"{_path(transport, name, version)}/build").value


def build_state(transport: Transport, name: str, version: str = "latest", *, offset: int = 0) -> EnvironmentBuild:
    return transport.get(EnvironmentBuild, f"{_path(transport, name, version)}/build", {"offset": offset})


def follow_build(transport: Transport, name: str, version: str, say: Callable[[str], None], pause: Callable[[], None]) -> EnvironmentBuild:
    """Until it is over. `say` gets the log line by line, `pause` lets time pass between two looks."""
    offset, begun = 0, ""
    while True:
        told = build_state(transport, name, version, offset=offset)
        offset = told.next_offset
        *lines, begun = (begun + told.log).split("\n")
        for line in lines:
            say(line)
        if told.state != "building":
            return told
        pause()


def _path(transport: Transport, name: str, version: str) -> str:
    return transport.path("environments", name, "versions", version)

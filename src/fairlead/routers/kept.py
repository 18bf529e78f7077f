"""What a router remembers of a route: as it was published last, and the replicas that it has left behind."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from fairlead.errors import UsageError
from fairlead.routers.types import Route, Upstream

HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class Replica:
    """`host`: as it was published; `address`: its number."""

    host: str
    port: int
    address: str
    weight: int = 1

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def place(self) -> tuple[str, int]:
        return self.address, self.port


@dataclass(frozen=True, kw_only=True)
class Kept:
    """`generation` grows when the replicas change. `changed`: when it did so last, in seconds since 1970."""

    handle: str
    host: str
    port: int
    upstreams: tuple[Replica, ...]
    leaving: tuple[Replica, ...] = ()
    generation: int = 1
    changed: float = 0.0
    max_body: int | None = None

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.upstreams + self.leaving


def to_json(kept: Kept) -> dict[str, Any]:
    return asdict(kept)


def from_json(said: dict[str, Any]) -> Kept:
    known = {name: value for name, value in said.items() if name in {one.name for one in fields(Kept)}}
    return Kept(**{**known, "upstreams": _replicas(known["upstreams"]), "leaving": _replicas(known["leaving"])})


def follow(before: Kept | None, route: Route) -> Kept:
    """Replicas that are in the new route no more are left behind. Raises UsageError for what is no handle and no address."""
    check_handle(route.handle)
    if not 0 < route.port < 1 << 16:
        raise UsageError(f"{route.handle} cannot listen at port {route.port}; a port is a number from 1 to 65535.")
    upstreams = tuple(_replica(route.handle, one) for one in route.upstreams)
    served = {one.place for one in upstreams}
    if len(served) < len(upstreams):
        raise UsageError(f"{route.handle} names a replica twice; each has an address of its own.")
    before = before or Kept(handle=route.handle, host="", port=0, upstreams=(), generation=0)
    is_new = upstreams != before.upstreams or not before.generation
    left = {one.place: replace(one, weight=0) for one in before.replicas}
    return replace(
        before,
        host=_number(route.handle, route.host),
        port=route.port,
        upstreams=upstreams,
        leaving=tuple(one for one in left.values() if one.place not in served),
        generation=before.generation + is_new,
        changed=time.time() if is_new else before.changed,
        max_body=route.max_body,
    )


def check_handle(handle: str) -> None:
    """Raises UsageError."""
    if not HANDLE.fullmatch(handle):
        raise UsageError(f"{handle!r} is no handle of a workload; one has at most 40 lower-case letters, digits and dashes.")


def _replica(handle: str, upstream: Upstream) -> Replica:
    if upstream.weight < 0 or not 0 < upstream.port < 1 << 16:
        raise UsageError(f"{handle}: {upstream.host}:{upstream.port} with weight {upstream.weight} is no replica; a port is 1 to 65535, a weight 0 or more.")
    return Replica(host=upstream.host, port=upstream.port, address=_number(handle, upstream.host), weight=upstream.weight)


def _number(handle: str, host: str) -> str:
    """Envoy takes addresses, not names."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{handle}: {host!r} is no address and no name of one ({error}); give a number such as 127.0.0.1.") from error


def _replicas(said: list[dict[str, Any]]) -> tuple[Replica, ...]:
    known = {one.name for one in fields(Replica)}
    return tuple(Replica(**{name: value for name, value in one.items() if name in known}) for one in said)

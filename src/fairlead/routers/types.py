"""The seam between a service's address and the replicas that answer there.

`tests/fairlead/routers/contract.py` says what every router must do; `fairlead.testing.routers.FakeRouter` is one without a proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A replica that is ready. `weight`: its share of requests, relative to the others; 0 gets none and keeps what it has in hand."""

    host: str
    port: int
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """PEM files: the full chain, and its key."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Whole, as it should be. The workload's handle is its only name."""

    handle: str
    host: str
    port: int
    upstreams: tuple[Upstream, ...]
    tls: Certificate | None = None
    max_body: int | None = None  # bytes; None leaves it to the replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteState:
    """`is_live`: what was published last is what new requests meet. `in_flight`: by `host:port`, also of replicas that are routed to no longer."""

    is_live: bool
    message: str = ""
    in_flight: dict[str, int] | None = None  # None: it cannot be said now


class Router(Protocol):
    """Declarative and idempotent, like targets; it outlives the server that told it, and any server can take it over."""

    def publish(self, route: Route) -> None:
        """Make it so, without waiting; requests in flight go on where they are. Raises UsageError for an address that cannot be bound, BootFailure."""
        ...

    def observe(self, handle: str) -> RouteState | None:
        """None when nothing of this handle is published."""
        ...

    def handles(self) -> list[str]:
        """What is published."""
        ...

    def retire(self, handle: str) -> None:
        """Take the address away; requests in flight are answered. Silent when it is gone already."""
        ...

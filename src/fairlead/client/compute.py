"""Compute pools over HTTP: one function per route."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.client.transport import Transport
from fairlead.schemas.compute import NewPool, Pool, PoolChange, PoolUse


def create(transport: Transport, new: NewPool) -> Pool:
    """Raises Conflict when one of that name is there."""
    return transport.create(Pool, transport.path("compute"), new)


def list_all(transport: Transport) -> Iterator[Pool]:
    return transport.each(Pool, transport.path("compute"))


def show(transport: Transport, name: str) -> Pool:
    """Raises NotFound."""
    return transport.get(Pool, transport.path("compute", name))


def change(transport: Transport, name: str, body: PoolChange) -> Pool:
    return transport.send(Pool, "PATCH", transport.path("compute", name), body=body).value


def delete(transport: Transport, name: str) -> None:
    """Raises InUse."""
    transport.request("DELETE", transport.path("compute", name))


def uses(transport: Transport, name: str) -> Iterator[PoolUse]:
    """Newest first."""
    return transport.each(PoolUse, transport.path("compute", name, "uses"))

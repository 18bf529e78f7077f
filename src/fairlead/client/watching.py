"""Watches a record until nothing is on its way, also over a restart of the server, which goes on with what it was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

from fairlead.client.transport import Transport
from fairlead.errors import Unavailable
from fairlead.schemas.images import Image
from fairlead.schemas.jobs import Job
from fairlead.schemas.services import Service

POLL = 20.0  # seconds that one request waits for news
PATIENCE = 30.0  # seconds without the server

R = TypeVar("R", Service, Image, Job)


def changes_of(transport: Transport, kind: type[R], *path: str, timeout: float | None = None) -> Iterator[R]:
    """The record each time that something of it changed, until it is settled or the time is over; the last one is how it stands then.

    Raises Unavailable when the server stays away.
    """
    give_up = float("inf") if timeout is None else time.monotonic() + timeout
    seen = 0
    while True:
        found = _asked(transport, kind, path, seen, give_up)
        if found.serial > seen:
            yield found
        seen = found.serial
        if found.is_settled or time.monotonic() >= give_up:
            return


def _asked(transport: Transport, kind: type[R], path: tuple[str, ...], seen: int, give_up: float) -> R:
    alone_since: float | None = None
    while True:
        now = time.monotonic()
        try:
            return transport.get(kind, transport.path(*path), {"wait": min(POLL, max(0.0, give_up - now)), "seen": seen})
        except Unavailable as error:  # each is several tries already
            alone_since = alone_since or now
            if time.monotonic() >= min(give_up, alone_since + PATIENCE):
                raise Unavailable(f"{str(error).rstrip('.')}. What was asked for goes on when it is back.") from error

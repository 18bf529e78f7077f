"""A port for a service that may choose: below those that the system lends to outgoing connections, so that it is free again after a restart."""

from __future__ import annotations

import os
import socket
import zlib
from contextlib import AbstractContextManager
from pathlib import Path

from fairlead.errors import BootFailure
from fairlead.targets.files import locked

FIRST, COUNT = 20_000, 10_000


def choose(folder: Path, host: str, taken: set[int], *, first: int = FIRST, count: int = COUNT) -> int:
    """The first free one from a number that the service's folder decides. Raises BootFailure."""
    start = zlib.crc32(os.fsencode(folder)) % count
    for step in range(count):
        port = first + (start + step) % count
        if port not in taken and is_free(host, port):
            return port
    raise BootFailure(f"No port of {host} from {first} to {first + count - 1} is free; name one with --port.")


def is_free(host: str, port: int) -> bool:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return True
    except OSError:
        return False


def choosing(folder: Path) -> AbstractContextManager[None]:
    """One at a time, until the choice is written down."""
    return locked(folder / "ports.lock")

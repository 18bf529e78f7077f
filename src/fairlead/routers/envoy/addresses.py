"""Whether an address can be listened at, before Envoy is asked to."""

from __future__ import annotations

import errno
import socket
import time

from fairlead.errors import UsageError
from fairlead.routers.envoy.process import pause

FREED_WITHIN = 1.0  # seconds; an address that Envoy has just been told to leave


def claim(host: str, port: int) -> None:
    """Raises UsageError with the reason."""
    give_up = time.monotonic() + FREED_WITHIN
    while (error := _try(host, port)) is not None:
        if error.errno != errno.EADDRINUSE or time.monotonic() > give_up:
            raise UsageError(f"It cannot be served at {host}:{port}: {_because(error)}") from error
        pause(0.05)


def _try(host: str, port: int) -> OSError | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)  # two may bind to a port, and one may listen
    except OSError as error:
        return error
    return None


def _because(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another process listens there; end that one, or choose another port."
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; use 127.0.0.1, 0.0.0.0 or one of its own."
        case errno.EACCES:
            return "only root may listen there; choose a port above 1023."
        case _:
            return f"{error.strerror or error}; choose another address."

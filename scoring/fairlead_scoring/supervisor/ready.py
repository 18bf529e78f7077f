"""`ready [PORT]`: exits with 0 when the service on this machine answers that it is ready; what a container's health check runs.

It imports next to nothing, because it is started every few seconds beside the service.
"""

from __future__ import annotations

import socket
import sys

PORT = 5001
PATIENCE = 4.0  # seconds; Docker's own for the image's health check is 5
_ASKED = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def main(arguments: list[str]) -> int:
    try:
        port = int(arguments[0]) if arguments else PORT
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall(_ASKED)
            said = connection.recv(64)
    except (OSError, ValueError, OverflowError) as fault:
        sys.stderr.write(f"not ready: {fault}\n")
        return 1
    status = said.split(b" ", 2)[1:2]
    if status == [b"200"]:
        return 0
    sys.stderr.write(f"not ready: {said.splitlines()[0].decode('latin-1') if said else 'no answer'}\n")
    return 1

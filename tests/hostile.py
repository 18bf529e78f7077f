"""Clients nobody wants: slow, huge, rude or in a hurry, on raw sockets. Loopback only; every loop has an end."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Heard:
    """Everything the server sent until it closed or the time was up. sent: bytes it took from us."""

    data: bytes
    sent: int
    seconds: float
    was_closed: bool

    @property
    def statuses(self) -> list[int]:
        """Of all answers, in order: pipelined ones too."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]


@contextlib.contextmanager
def connected(port: int, *, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    with socket.socket() as connection:
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", port))
        yield connection


def head(port: int, *headers: str, method: str = "POST", path: str = "/score") -> bytes:
    """A request head with its final empty line."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{port}", *headers, "", ""]).encode("latin-1")


def request(port: int, body: bytes, *headers: str, path: str = "/score") -> bytes:
    return head(port, "content-type: application/json", f"content-length: {len(body)}", *headers, path=path) + body


def trickle(port: int, pieces: Iterable[bytes], *, pause: float, seconds: float) -> Heard:
    """Sends a piece every `pause` seconds until the server answers, closes, or the time is up; then listens to the end."""
    begun, sent, data = time.monotonic(), 0, b""
    with connected(port) as connection:
        for piece in pieces:
            left = seconds - (time.monotonic() - begun)
            if left <= 0 or _readable(connection, min(pause, left)):
                break
            try:
                connection.sendall(piece)
            except OSError:
                break
            sent += len(piece)
        left = max(0.0, seconds - (time.monotonic() - begun))
        data, was_closed = _listen(connection, left)
    return Heard(data, sent, time.monotonic() - begun, was_closed)


def flood(port: int, first: bytes, piece: bytes, *, most: int, seconds: float) -> Heard:
    """Sends `first`, then `piece` again and again as fast as the server takes it, up to `most` bytes."""
    if most > 1024**3:
        raise ValueError("A flood ends at 1 GiB; announce more than you send.")
    begun, sent = time.monotonic(), len(first)
    with connected(port) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(first)
            while sent < most and time.monotonic() - begun < seconds and not _readable(connection, 0):
                sent += connection.send(piece)
        data, was_closed = _listen(connection, max(0.5, seconds - (time.monotonic() - begun)))
    return Heard(data, sent, time.monotonic() - begun, was_closed)


def exchange(port: int, data: bytes, *, seconds: float = 10.0, finish: bool = True) -> Heard:
    """Sends everything at once (pipelined requests, say), half-closes when `finish`, and listens to the end."""
    begun = time.monotonic()
    with connected(port) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            if finish:
                connection.shutdown(socket.SHUT_WR)
        heard, was_closed = _listen(connection, seconds)
    return Heard(heard, len(data), time.monotonic() - begun, was_closed)


def drop(connection: socket.socket) -> None:
    """Ends the connection with a reset, as a killed client's kernel may."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _readable(connection: socket.socket, seconds: float) -> bool:
    return bool(select.select([connection], [], [], seconds)[0])


def _listen(connection: socket.socket, seconds: float) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    deadline, size = time.monotonic() + seconds, 0
    while size < MOST_BYTES and _readable(connection, max(0.0, deadline - time.monotonic())):
        try:
            part = connection.recv(65536)
        except OSError:
            return b"".join(parts), True
        if not part:
            return b"".join(parts), True
        parts.append(part)
        size += len(part)
    return b"".join(parts), False

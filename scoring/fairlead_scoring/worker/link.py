"""Frames between supervisor, front and workers: a 12-byte head, then a payload, over a Unix socketpair.

A payload above 1 MiB, or one that is a file descriptor by nature, travels as a descriptor (memfd) beside the head.
Both ends are always of the same Fairlead version family; a head with another version byte is refused.
"""

from __future__ import annotations

import array
import mmap
import os
import socket
import struct
import threading
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

VERSION = 1
HEAD = struct.Struct("<BBHII")  # version, kind, flags, id, payload length
INLINE_LIMIT = 1 << 20
MAX_FDS = 16

# worker ⇄ front
SCORE, ANSWERS, CHUNK, END, ACK, CANCEL, CONTROL = range(1, 8)
# supervisor ⇄ worker
CONFIG, BEAT, READY, FAILED, ATTACH, STOP = range(16, 22)
# supervisor ⇄ front
UP, ADD, RETIRE, RETIRED, DRAIN, DRAINED, OVERDUE, RECOVERED, NEWS, RELOAD = range(32, 42)

WITH_FDS = 1  # flag: descriptors belong to this frame
IN_MEMFD = 2  # flag: the payload goes on in the frame's first descriptor
ERROR = 4  # flag on END: the stream broke

Payload = Union[bytes, bytearray, memoryview]


class Frame(NamedTuple):
    kind: int
    flags: int
    ident: int
    payload: memoryview
    fds: Tuple[int, ...]


class LinkClosed(Exception):
    """The other end is gone."""


def pair() -> Tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in (ours, theirs):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, INLINE_LIMIT)
    return ours, theirs


def pack(kind: int, payload: Payload = b"", *, ident: int = 0, flags: int = 0) -> bytes:
    return HEAD.pack(VERSION, kind, flags, ident, len(payload)) + payload


def in_memfd(parts: Sequence[Payload]) -> int:
    """A descriptor that holds the parts one after the other."""
    fd = _anonymous_file()
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(fd, rest) :]
    return fd


def mapped(fd: int) -> memoryview:
    """The whole content behind a descriptor, without a copy; closes the descriptor."""
    try:
        size = os.fstat(fd).st_size
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ)) if size else memoryview(b"")
    finally:
        os.close(fd)


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fairlead")
    import tempfile  # macOS has no memfd

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Inbox:
    """Bytes and descriptors in, whole frames out; for readers that must not block."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._fds: List[int] = []

    def receive(self, sock: socket.socket) -> Iterator[Frame]:
        """Read once. Raises LinkClosed at the end, BlockingIOError when there is nothing on a non-blocking socket."""
        data, fds = receive_some(sock)
        self._fds += fds
        self._bytes += data
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        start, held = 0, self._bytes
        while len(held) - start >= HEAD.size:
            version, kind, flags, ident, length = HEAD.unpack_from(held, start)
            if version != VERSION:
                raise LinkClosed("the other end speaks frame version {}, this one {}".format(version, VERSION))
            end = start + HEAD.size + length
            if len(held) < end:
                break
            payload = memoryview(bytes(held[start + HEAD.size : end]))
            start = end
            yield Frame(kind, flags, ident, payload, self._take_fds(flags, payload))
        if start:
            del held[:start]

    def _take_fds(self, flags: int, payload: memoryview) -> Tuple[int, ...]:
        if not flags & (WITH_FDS | IN_MEMFD):
            return ()
        return (self._fds.pop(0),)


def receive_some(sock: socket.socket) -> Tuple[bytes, List[int]]:
    data, ancillary, _, _ = sock.recvmsg(1 << 18, socket.CMSG_SPACE(MAX_FDS * 4))
    if not data:
        raise LinkClosed("the other end has closed the link")
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return data, list(fds)


class Link:
    """A blocking end of a link; sending is safe from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self.sock = sock
        self._inbox = Inbox()
        self._ready: List[Frame] = []
        self._lock = threading.Lock()

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, kind: int, payload: Payload = b"", *, ident: int = 0, flags: int = 0, fd: Optional[int] = None) -> None:
        """Raises LinkClosed when the other end is gone."""
        if fd is not None and not flags & IN_MEMFD:
            flags |= WITH_FDS
        data = memoryview(pack(kind, payload, ident=ident, flags=flags))
        try:
            with self._lock:
                sent = send_some(self.sock, data, fd)
                if sent < len(data):
                    self.sock.sendall(data[sent:])
        except OSError as error:
            raise LinkClosed("the other end has closed the link: {}".format(error)) from error

    def receive(self) -> Frame:
        """The next frame; waits. Raises LinkClosed."""
        while not self._ready:
            try:
                self._ready += self._inbox.receive(self.sock)
            except OSError as error:
                raise LinkClosed("the link broke: {}".format(error)) from error
        return self._ready.pop(0)

    @property
    def has_frame(self) -> bool:
        """Whether `receive()` would answer without reading the socket."""
        return bool(self._ready)

    def close(self) -> None:
        self.sock.close()


def send_some(sock: socket.socket, data: memoryview, fd: Optional[int]) -> int:
    if fd is None:
        return sock.send(data)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
    return sock.sendmsg([data], [rights])

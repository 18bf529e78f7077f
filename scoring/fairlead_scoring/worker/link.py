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
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

VERSION = 1
HEAD = struct.Struct("<BBHII")  # version, kind, flags, id, payload length
INLINE_LIMIT = 1 << 20
PIECE = 1 << 16
FDS_SPACE = socket.CMSG_SPACE(16 * 4)
CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # a child of a script must not hold a link open

# worker ⇄ front
SCORE, ANSWERS, CHUNK, END, ACK, CANCEL, CONTROL = range(1, 8)
# supervisor ⇄ worker
CONFIG, BEAT, READY, FAILED, ATTACH, STOP, LOG = range(16, 23)
# supervisor ⇄ front
UP, ADD, RETIRE, RETIRED, DRAIN, DRAINED, OVERDUE, RECOVERED, NEWS, GONE, SETTINGS = range(32, 43)

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
    import tempfile  # noqa: PLC0415  (macOS has no memfd)

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Inbox:
    """Bytes and descriptors in, whole frames out; for readers that must not block."""

    def __init__(self) -> None:
        self._buffer = bytearray(PIECE)  # one for all reads: a new one each time costs more than the read
        self._view = memoryview(self._buffer)
        self._held = b""
        self._fds: List[int] = []
        self._large: Optional[memoryview] = None  # a frame that did not come at once: read straight into its place
        self._filled = 0

    def receive(self, sock: socket.socket) -> List[Frame]:
        """Read once. Raises LinkClosed at the end, BlockingIOError when there is nothing on a non-blocking socket."""
        into = self._view if self._large is None else self._large[self._filled :]
        size, ancillary, _, _ = sock.recvmsg_into([into], FDS_SPACE, CLOSE_ON_EXEC)
        if ancillary:
            self._take_in(ancillary)
        if not size:
            raise LinkClosed("the other end has closed the link")
        if self._large is not None:
            return self._fill(size)
        held = self._held + self._view[:size] if self._held else bytes(self._view[:size])
        return self._frames(held)

    def _fill(self, size: int) -> List[Frame]:
        large = self._large
        assert large is not None
        self._filled += size
        if self._filled < len(large):
            return []
        self._large = None
        return self._frames(large)

    def _frames(self, held: Union[bytes, memoryview]) -> List[Frame]:
        found: List[Frame] = []
        view, start = memoryview(held), 0
        while len(view) - start >= HEAD.size:
            version, kind, flags, ident, length = HEAD.unpack_from(view, start)
            if version != VERSION:
                raise LinkClosed(f"the other end speaks frame version {version}, this one {VERSION}")
            end = start + HEAD.size + length
            if len(view) < end:
                self._make_room(view[start:], end - start)
                return found
            found.append(Frame(kind, flags, ident, view[start + HEAD.size : end], self._fds_of(flags)))
            start = end
        self._held = bytes(view[start:])
        return found

    def _make_room(self, begun: memoryview, size: int) -> None:
        room = bytearray(size)
        room[: len(begun)] = begun
        self._large, self._filled, self._held = memoryview(room), len(begun), b""

    def _fds_of(self, flags: int) -> Tuple[int, ...]:
        if not flags & (WITH_FDS | IN_MEMFD):
            return ()
        if not self._fds:
            raise LinkClosed("a descriptor was lost on the way")  # this process has too many open
        return (self._fds.pop(0),)

    def _take_in(self, ancillary: Any) -> None:
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
                self._fds += fds
                if not CLOSE_ON_EXEC:
                    for fd in fds:
                        os.set_inheritable(fd, False)


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
            raise LinkClosed(f"the other end has closed the link: {error}") from error

    def receive(self) -> Frame:
        """The next frame; waits. Raises LinkClosed."""
        while not self._ready:
            try:
                self._ready += self._inbox.receive(self.sock)
            except OSError as error:
                raise LinkClosed(f"the link broke: {error}") from error
        return self._ready.pop(0)

    @property
    def has_frame(self) -> bool:
        """Whether `receive()` would answer without reading the socket."""
        return bool(self._ready)

    def take_apart(self) -> Tuple[socket.socket, Inbox, List[Frame]]:
        """Socket, inbox and the frames that were read ahead, for an owner that goes on without blocking."""
        return self.sock, self._inbox, self._ready

    def close(self) -> None:
        self.sock.close()


def send_some(sock: socket.socket, data: memoryview, fd: Optional[int]) -> int:
    if fd is None:
        return sock.send(data)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
    return sock.sendmsg([data], [rights])

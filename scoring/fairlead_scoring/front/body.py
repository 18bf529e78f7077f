"""A request's body while it arrives: in memory when small, in an anonymous file when large, never more than the limit."""

from __future__ import annotations

import os
import zlib

from fairlead_scoring.worker.link import INLINE_LIMIT, in_memfd

PIECE = 1 << 16
EXPANSION_FLOOR = 8 << 20  # what any zipped body may unpack to, however small it is


class BodyTooLarge(Exception):
    """It passed the limit; the rest is not read. The message says which."""


class BodyBroken(Exception):
    """It is not in the encoding that its header names."""


class Body:
    """Call `add` per piece and `finish` at the end; then `size`, and either `data` or `fd` (when it is larger than 1 MiB)."""

    __slots__ = ("_more", "_only", "fd", "size")

    def __init__(self) -> None:
        self._only: bytes = b""  # most bodies come in one piece
        self._more: bytearray | None = None
        self.size = 0
        self.fd: int | None = None

    def add(self, piece: bytes, limit: int) -> None:
        """Raises BodyTooLarge, and then holds no more than before."""
        size = self.size + len(piece)
        if size > limit:
            raise BodyTooLarge(f"The body is larger than {limit} bytes (at least {size}); send less at a time.")
        if self.fd is not None:
            _write(self.fd, piece)
        elif size > INLINE_LIMIT:
            self.fd = in_memfd([self.data, piece])
            self._only, self._more = b"", None
        elif not self.size:
            self._only = piece
        else:  # one buffer, not a list: a body sent in pieces of two bytes must not cost twenty times its size
            if self._more is None:
                self._more = bytearray(self._only)
            self._more += piece
        self.size = size

    def finish(self) -> None:
        """All of it is here. Raises BodyBroken."""

    @property
    def data(self) -> bytes | bytearray:
        """The whole body; only for one that is not in a file."""
        return self._only if self._more is None else self._more

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
        self._only, self._more, self.size = b"", None, 0


class ZippedBody(Body):
    """Unpacks gzip or zlib content while it arrives, so that neither a bomb nor a large upload holds up the others."""

    __slots__ = ("_expansion", "_machine", "_sent")

    def __init__(self, expansion: int) -> None:
        super().__init__()
        self._expansion = expansion
        self._machine = zlib.decompressobj(wbits=47)  # tells gzip and zlib apart by itself
        self._sent = 0

    def add(self, piece: bytes, limit: int) -> None:
        """`limit` holds for what it unpacks to, and so does the expansion. Raises BodyTooLarge or BodyBroken."""
        self._sent += len(piece)
        most = min(limit, max(EXPANSION_FLOOR, self._sent * self._expansion))
        for start in range(0, len(piece), PIECE):
            rest = piece[start : start + PIECE]
            while rest:
                if self._machine.eof:
                    raise BodyBroken("data follows its end")
                rest = self._unpack(rest, most)

    def finish(self) -> None:
        if not self._sent:
            return
        rest = self._machine.flush()
        if not self._machine.eof:
            raise BodyBroken("it ends too early")
        super().add(rest, self.size + len(rest))

    def _unpack(self, packed: bytes, most: int) -> bytes:
        """What of `packed` is still to be unpacked."""
        try:
            plain = self._machine.decompress(packed, PIECE)
        except zlib.error as error:
            raise BodyBroken(str(error)) from error
        try:
            super().add(plain, most)
        except BodyTooLarge:
            raise BodyTooLarge(f"The body unpacks to more than {most} bytes; send less at a time.") from None
        return self._machine.unused_data or self._machine.unconsumed_tail


def _write(fd: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(fd, rest) :]

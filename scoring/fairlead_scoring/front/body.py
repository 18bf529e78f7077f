"""A request's body while it arrives: in memory when small, in an anonymous file when large, never more than the limit."""

from __future__ import annotations

import mmap
import os
import zlib

from fairlead_scoring.worker.link import INLINE_LIMIT, in_memfd

PIECE = 1 << 16


class BodyTooLarge(Exception):
    """It passed the limit; the rest is not read."""


class Body:
    """Call `add` per piece; then `size`, and either `data` or `fd` (when it is larger than 1 MiB)."""

    __slots__ = ("_parts", "fd", "size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0
        self.fd: int | None = None

    def add(self, piece: bytes, limit: int) -> None:
        self.size += len(piece)
        if self.size > limit:
            self.close()
            raise BodyTooLarge
        if self.fd is not None:
            _write(self.fd, piece)
            return
        self._parts.append(piece)
        if self.size > INLINE_LIMIT:
            self.fd = in_memfd(self._parts)
            self._parts = []

    @property
    def data(self) -> bytes:
        """The whole body; only for one that is not in a file."""
        if len(self._parts) == 1:
            return self._parts[0]
        return b"".join(self._parts)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
        self._parts = []

    def unzipped(self, limit: int) -> Body:
        """The gzip or zlib content of this body as a new one. Raises BodyTooLarge or zlib.error; closes this one."""
        plain = Body()
        machine = zlib.decompressobj(wbits=47)
        try:
            rest: bytes | memoryview = self._whole()
            while rest:
                plain.add(machine.decompress(rest, PIECE), limit)
                rest = machine.unconsumed_tail
            plain.add(machine.flush(), limit)
            if not machine.eof:
                raise zlib.error("the compressed body ends too early")
        except BaseException:
            plain.close()
            raise
        finally:
            self.close()
        return plain

    def _whole(self) -> memoryview:
        if self.fd is None:
            return memoryview(self.data)
        return memoryview(mmap.mmap(self.fd, self.size, access=mmap.ACCESS_READ))


def _write(fd: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(fd, rest) :]

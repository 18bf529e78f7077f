"""A stream over what can only be asked for in ranges."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, Protocol

BLOCK = 8 << 20


class _Buffer(Protocol):
    def __len__(self) -> int: ...
    def __setitem__(self, where: slice, value: bytes) -> None: ...


def stream_of(read: Callable[[int, int], bytes], size: int, offset: int = 0) -> BinaryIO:
    """Reads `read(start, end)` block by block; it answers at least one byte, and fewer than asked for where that suits it."""
    return io.BufferedReader(_Ranges(read, size, offset))


class _Ranges(io.RawIOBase):
    def __init__(self, read: Callable[[int, int], bytes], size: int, offset: int) -> None:
        self._read = read
        self._size = size
        self._at = offset
        self._block = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: _Buffer) -> int:  # type: ignore[override]
        if not self._block and self._at < self._size:
            self._block = memoryview(self._read(self._at, min(self._at + BLOCK, self._size)))
        piece = self._block[: len(target)]
        target[: len(piece)] = bytes(piece)
        self._block = self._block[len(piece) :]
        self._at += len(piece)
        return len(piece)

"""A seekable stream over what can only be asked for in ranges."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, Callable, cast

_FIRST = 256 << 10
_MOST = 8 << 20


def stream_of(read: Callable[[int, int], bytes], size: int, offset: int = 0) -> BinaryIO:
    """`read(start, end)` gives exactly those bytes. Reads ahead while it is read from front to back, and no more than asked for where it is not."""
    stream = io.BufferedReader(_Ranges(read, size), 128 << 10)
    stream.seek(offset)
    return cast(BinaryIO, stream)


class _Ranges(io.RawIOBase):
    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._read = read
        self._size = size
        self._at = 0
        self._start = 0
        self._block = b""
        self._ahead = _FIRST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, target: Any) -> int:
        wanted = min(len(target), self._size - self._at)
        if wanted <= 0:
            return 0
        if not self._start <= self._at < self._start + len(self._block):
            self._load(wanted)
        begin = self._at - self._start
        piece = memoryview(self._block)[begin : begin + wanted]
        target[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _load(self, wanted: int) -> None:
        in_order = self._at == self._start + len(self._block)
        self._ahead = min(2 * self._ahead, _MOST) if in_order and self._block else _FIRST
        self._block = b""  # so that two blocks are never held at once
        self._start, end = self._at, min(self._at + max(wanted, self._ahead), self._size)
        self._block = self._read(self._start, end)

"""Iterators of bytes as binary streams, for whoever reads."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any


class IteratorStream(io.RawIOBase):
    """Reads what an iterator yields, each byte once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        found: list[bytes] = []
        left = size
        while left != 0:
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return b"".join(found)
                self._rest = memoryview(piece)
            taken = self._rest[: left if left > 0 else None]
            self._rest = self._rest[len(taken) :]
            found.append(bytes(taken))
            left = left - len(taken) if left > 0 else left
        return b"".join(found)

    def readinto(self, buffer: Any, /) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

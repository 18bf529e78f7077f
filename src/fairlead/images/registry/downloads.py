"""A blob of a registry as a stream that goes on where a connection was cut, and never gives more bytes than were announced."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx2

from fairlead.errors import DigestMismatch, FairleadError, Unavailable
from fairlead.images.registry.connection import Asked, Connection, wait
from fairlead.images.registry.tokens import Scopes
from fairlead.images.types import Descriptor

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Stopped(FairleadError):
    """Another part of the same pull has failed."""


class Download(io.RawIOBase):
    """Its digest is for the reader to compare: `Blobs.put(..., expect=…)` does. Raises Unavailable, NotFound and what logins raise, while it is read."""

    def __init__(self, connection: Connection, repository: str, blob: Descriptor, scopes: Scopes, stop: threading.Event) -> None:
        self._connection = connection
        self._blob = blob
        self._stop = stop
        self._asked = Asked(method="GET", url=f"/v2/{repository}/blobs/sha256:{blob.digest}", scopes=scopes)
        self._response: httpx2.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._left = b""
        self._at = 0  # bytes that have arrived
        self._cuts = 0  # since one arrived

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        if not self._left and self._at < self._blob.size:
            self._left = self._next_piece()
        given, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(given)] = given
        return len(given)

    def close(self) -> None:
        self._drop()
        super().close()

    def _next_piece(self) -> bytes:
        while True:
            if self._stop.is_set():
                raise Stopped("The pull has ended.")
            try:
                if self._response is None:
                    self._begin()
                piece = next(self._pieces, b"")
            except httpx2.TransportError as fault:
                self._was_cut(f"{fault}" or type(fault).__name__)
                continue
            if not piece:
                self._was_cut(f"it ended after {self._at} of {self._blob.size} bytes")
                continue
            self._cuts = 0
            self._at += len(piece)
            if self._at > self._blob.size:
                raise DigestMismatch(f"{self._what} has more than its {self._blob.size} bytes; it is damaged or forged and was not taken.")
            return piece

    def _begin(self) -> None:
        """From the first byte, or from the first that has not arrived yet."""
        asked = self._asked
        if self._at:
            asked = Asked(method="GET", url=asked.url, scopes=asked.scopes, headers={"range": f"bytes={self._at}-"})
        self._response = self._connection.open(asked, 200, 206, 416)
        status, began = self._response.status_code, self._at
        if status == 416 or (status == 206 and _start(self._response) != began):
            self._drop()
            raise DigestMismatch(f"{self._what} has fewer than its {self._blob.size} bytes; it is damaged or forged and was not taken.")
        self._pieces = self._response.iter_raw()
        if status == 200 and began:
            self._pieces = _after(self._pieces, began)

    def _was_cut(self, why: str) -> None:
        """Raises Unavailable when nothing has arrived for as many tries as there are pauses."""
        self._drop()
        pauses = self._connection.pauses
        if self._cuts >= len(pauses):
            raise Unavailable(f"{self._what} does not arrive ({why[:200].rstrip('.')}). See to the network, and try again; what has arrived whole is kept.")
        wait(pauses[self._cuts])
        self._cuts += 1

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
        self._response, self._pieces = None, iter(())

    @property
    def _what(self) -> str:
        return f"Blob {self._blob.digest} of the registry {self._connection.host}"


def _start(response: httpx2.Response) -> int:
    """Where a partial answer begins; -1 when it does not say."""
    unit, _, span = response.headers.get("content-range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else -1


def _after(pieces: Iterator[bytes], skipped: int) -> Iterator[bytes]:
    """Of a registry that knows no ranges: what comes after the bytes that we have."""
    for piece in pieces:
        if skipped < len(piece):
            yield piece[skipped:]
        skipped = max(0, skipped - len(piece))

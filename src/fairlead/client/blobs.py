"""Content by its digest: one request each. What goes on after a cut is in `fairlead.sdk.uploads`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import httpx2

from fairlead.client.transport import Transport, checked
from fairlead.errors import Unavailable
from fairlead.schemas.blobs import MOST_DIGESTS, OFFSET_HEADER, Digests, Missing, NewUpload, Upload

_PATIENCE = httpx2.Timeout(60.0, read=600.0)  # the server reads a large upload once more before it answers the last byte


def list_missing(transport: Transport, digests: Sequence[str]) -> set[str]:
    """Those that this workspace has not uploaded."""
    found: set[str] = set()
    for first in range(0, len(digests), MOST_DIGESTS):
        body = Digests(digests=list(digests[first : first + MOST_DIGESTS]))
        found |= set(transport.send(Missing, "POST", transport.path("blobs", "missing"), body=body).value.missing)
    return found


def begin_upload(transport: Transport, digest: str, size: int, *, again: bool = False) -> Upload:
    """Begins, or goes on with what was begun before. Raises QuotaExceeded."""
    return transport.send(Upload, "POST", transport.path("uploads"), body=NewUpload(digest=digest, size=size, again=again)).value


def show_upload(transport: Transport, upload_id: str) -> Upload:
    return transport.get(Upload, transport.path("uploads", upload_id))


def continue_upload(transport: Transport, upload: Upload, content: Iterable[bytes]) -> Upload:
    """Sends what is left of it: `content` must hold exactly that. Raises WrongOffset, DigestMismatch, UploadNotFound, Unavailable."""
    headers = {OFFSET_HEADER: str(upload.offset), "content-length": str(upload.size - upload.offset), "content-type": "application/octet-stream"}
    path = transport.path("uploads", str(upload.id))
    response = transport.request("PATCH", path, headers=headers, content=content, timeout=_PATIENCE)
    return Upload.model_validate_json(response.content)


def abandon_upload(transport: Transport, upload_id: str) -> None:
    transport.request("DELETE", transport.path("uploads", upload_id))


class Blobs:
    """The workspace's content, to fetch from: a `fairlead.stores.Readable`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __str__(self) -> str:
        return f"the workspace {self._transport.workspace!r} of {self._transport.url}"

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        """Raises BlobNotFound, Unavailable; the latter also while it is read."""
        headers = {"range": f"bytes={offset}-"} if offset else {}
        request = self._transport.http.build_request("GET", self._transport.path("blobs", digest), headers=headers)
        try:
            response = self._transport.http.send(request, stream=True)
        except httpx2.TransportError as fault:
            raise _unreachable(self._transport, fault) from fault
        if response.status_code == 416:  # everything is there already
            response.close()
            return io.BytesIO()
        try:
            checked(response)
        except BaseException:
            response.close()
            raise
        return _Body(self._transport, response)  # type: ignore[return-value]


class _Body(io.RawIOBase):
    def __init__(self, transport: Transport, response: httpx2.Response) -> None:
        self._transport = transport
        self._response = response
        self._pieces: Iterator[bytes] = response.iter_raw()  # as it comes: in larger pieces, a cut would lose what waits for the rest of its piece
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """As much as has come, at most `size`; nothing at the end. Raises Unavailable."""
        if not self._rest:
            try:
                self._rest = next(self._pieces, b"")
            except httpx2.TransportError as fault:
                raise _unreachable(self._transport, fault) from fault
        end = size if size >= 0 else len(self._rest)
        piece, self._rest = self._rest[:end], self._rest[end:]
        return piece

    def readinto(self, buffer: Any, /) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._response.close()
        super().close()


def _unreachable(transport: Transport, fault: Exception) -> Unavailable:
    return Unavailable(f"The connection to {transport.url} broke ({str(fault) or type(fault).__name__}); see `fairlead server status`, and try again.")

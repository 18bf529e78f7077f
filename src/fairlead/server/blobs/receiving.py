"""The body of an upload on its way into the store: streamed, kept as far as it came, checked at its end.

No transaction is open while bytes travel. What is done to the store comes before what is recorded of it, so a server that dies in between
leaves bytes that nobody owns (a sweep takes them) and never a record without its bytes.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import BinaryIO, cast

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.requests import ClientDisconnect

from fairlead.errors import DigestMismatch, TooLarge, UsageError
from fairlead.schemas.blobs import Upload
from fairlead.server.blobs import service
from fairlead.server.context import Context
from fairlead.server.faults import FaultPoint
from fairlead.server.tables.blobs import UploadRow

LONGEST_SILENCE = 60.0  # seconds in which a sender says nothing, until its connection counts as cut
AT_ONCE = 64  # uploads that travel at the same time; threads of their own, so that they slow no other route

ARRIVED = FaultPoint("blobs.arrived", "all bytes of an upload are in the store's session, nothing is published")
PUBLISHED = FaultPoint("blobs.published", "the blob is in the store, the workspace does not own it yet")
RECORDED = FaultPoint("blobs.recorded", "the workspace owns the blob, the sender does not know yet")


async def receive(parts: Context, upload: UploadRow, offset: int, body: AsyncIterator[bytes], threads: anyio.CapacityLimiter) -> Upload:
    """Adds the body at `offset`; the last byte completes the upload. Raises WrongOffset, DigestMismatch, TooLarge, StoreUnavailable."""
    stream = _Body(body, upload, offset)

    def add() -> Upload:
        arrived = parts.store.append(upload.id, offset, cast(BinaryIO, stream))
        return complete(parts, upload) if arrived == upload.size else progress_of(upload, arrived)

    return await anyio.to_thread.run_sync(add, limiter=threads)


def complete(parts: Context, upload: UploadRow) -> Upload:
    ARRIVED.reach()
    try:
        parts.store.finish(upload.id, upload.digest)
    except DigestMismatch:
        with parts.database.writing() as session:
            service.forget_upload(session, upload.id)
        raise
    PUBLISHED.reach()
    with parts.database.writing() as session:
        service.record_blob(session, upload)
    RECORDED.reach()
    return owned(upload.digest, upload.size)


def progress_of(upload: UploadRow, offset: int) -> Upload:
    return Upload(id=upload.id, digest=upload.digest, size=upload.size, offset=offset, complete=False)


def owned(digest: str, size: int) -> Upload:
    return Upload(digest=digest, size=size, offset=size, complete=True)


class _Body(io.RawIOBase):
    """The request's body as a stream for a thread: each read gives what has come, and waits only when there is nothing."""

    def __init__(self, body: AsyncIterator[bytes], upload: UploadRow, offset: int) -> None:
        self._body = body
        self._upload = upload
        self._left = upload.size - offset
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest:
            self._rest = self._allowed(anyio.from_thread.run(self._next))
        end = size if size >= 0 else len(self._rest)
        piece, self._rest = self._rest[:end], self._rest[end:]
        return piece

    def _allowed(self, chunk: bytes) -> bytes:
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge(f"Upload {self._upload.id} was announced with {self._upload.size} bytes, and more came; begin another with the right size.")
        return chunk

    async def _next(self) -> bytes:
        """The next bytes that are not none; none at the end."""
        try:
            with anyio.fail_after(LONGEST_SILENCE):
                async for chunk in self._body:
                    if chunk:
                        return chunk
        except TimeoutError:
            raise UsageError(f"Nothing came for {LONGEST_SILENCE:g} s; what had come is kept. Ask for the upload's offset and go on from there.") from None
        except ClientDisconnect:
            raise UsageError("The connection was cut; what had come is kept. Ask for the upload's offset and go on from there.") from None
        return b""

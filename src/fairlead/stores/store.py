"""What a store is: bytes by their SHA-256, and uploads that go on after a cut.

Nothing is visible under its digest before every byte of it is there and checked. Several servers may share one store:
a session of an upload lives in the store, not in the process that began it.
"""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from fairlead.errors import BlobNotFound, DigestMismatch, StoreFull, StoreUnavailable, UploadNotFound, UsageError, WrongOffset

CHUNK = 1 << 20
EMPTY = hashlib.sha256().hexdigest()

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{0,64}")
_UPLOAD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What was put: SHA-256 in hex and size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """A blob in a listing. modified: when it was last put, not only the first time."""

    digest: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingUpload:
    """A session that is not finished, or what a process that was killed left behind."""

    id: str
    size: int
    modified: datetime


class Readable(Protocol):
    """All that fetching needs: the bytes of a digest, from an offset."""

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        """Not verified: whoever reads to the end compares the digest, or uses `fetch`. Raises BlobNotFound, StoreUnavailable."""
        ...


class Store(Readable, Protocol):
    """Content-addressed blobs; a folder is a tree manifest of blobs (`stores.trees`)."""

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> Stored:
        """Keeps the stream's bytes under their digest. The same bytes again refresh `modified`, and mend what was damaged.

        Raises DigestMismatch when they are not `expect`, StoreFull, StoreUnavailable; then nothing is kept.
        """
        ...

    def size(self, digest: str) -> int | None:
        """Bytes of the blob; None when it is not there."""
        ...

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        """Every blob whose digest begins so, in order of digests."""
        ...

    def delete(self, digest: str, *, if_older_than: datetime | None = None) -> bool:
        """Silent when it is gone already; True when this call removed it. if_older_than: a blob put again since then stays."""
        ...

    def append(self, upload_id: str, offset: int, stream: BinaryIO) -> int:
        """Adds the stream at `offset`, the first append beginning the session, and answers the new offset.

        When the stream breaks, what arrived before is kept and the break is raised on. Raises WrongOffset, which says the right one.
        """
        ...

    def offset(self, upload_id: str) -> int:
        """How many bytes have arrived; 0 for a session that was never begun."""
        ...

    def finish(self, upload_id: str, digest: str) -> Stored:
        """Publishes the session's bytes as a blob and ends the session, also when they are not those of `digest`.

        Raises DigestMismatch, UploadNotFound when nothing has arrived.
        """
        ...

    def abandon(self, upload_id: str) -> None:
        """Forgets the session and its bytes; silent when there is none."""
        ...

    def uploads(self) -> Iterator[PendingUpload]:
        """Sessions and leftovers, for whoever collects garbage."""
        ...


def check_digest(digest: str) -> str:
    """The digest, once it is certain that it is one: it becomes part of a path. Raises UsageError."""
    if not _DIGEST.fullmatch(digest):
        raise UsageError(f"{digest[:80]!r} is no digest; one is 64 characters of 0-9 and a-f (SHA-256).")
    return digest


def check_prefix(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(f"{prefix[:80]!r} begins no digest; they consist of 0-9 and a-f.")
    return prefix


def check_upload_id(upload_id: str) -> str:
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise UsageError(f"{upload_id[:80]!r} is no name for an upload; letters, digits and '-' are.")
    return upload_id


def check_store(store: Store) -> None:
    """Writes, reads and removes a few bytes, so that a store that cannot be used is found out at the start and not at the first upload."""
    content = b"fairlead asks whether this store is usable: " + uuid.uuid4().bytes
    stored = store.put(io.BytesIO(content))
    with store.open(stored.digest) as stream:
        if stream.read() != content:
            raise StoreUnavailable(f"{store} answers other bytes than were put there; use another store.")
    store.delete(stored.digest)


def chunks_of(stream: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    while chunk := stream.read(size):
        yield chunk


def no_blob(where: object, digest: str) -> BlobNotFound:
    return BlobNotFound(f"There is no blob {digest} in {where}; upload it again.")


def no_upload(upload_id: str) -> UploadNotFound:
    return UploadNotFound(f"Upload {upload_id} has received nothing, or is over; begin it again.")


def wrong_offset(upload_id: str, said: int, right: int) -> WrongOffset:
    return WrongOffset(f"Upload {upload_id} goes on at byte {right}, not at {said}; ask for its offset and send from there.", offset=right)


def refuse_mismatch(found: str, expect: str | None, size: int) -> None:
    """Raises DigestMismatch unless nothing was expected, or this."""
    if expect is not None and found != expect:
        raise DigestMismatch(
            f"{size} bytes with digest {found} arrived where {expect} was announced; the file changed meanwhile, or on the way. Send it again."
        )


def store_full(where: object) -> StoreFull:
    return StoreFull(f"There is no space left for {where}; free some, or raise the quota of its disk.")

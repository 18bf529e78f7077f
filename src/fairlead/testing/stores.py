"""A store that forgets everything with its process."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from fairlead.errors import DigestMismatch
from fairlead.stores.store import (
    EMPTY,
    PendingUpload,
    Stored,
    StoredBlob,
    check_digest,
    check_prefix,
    check_upload_id,
    chunks_of,
    no_blob,
    no_upload,
    refuse_mismatch,
    wrong_offset,
)


class MemoryStore:
    """Keeps blobs in dictionaries; fine with several threads.

    >>> import io
    >>> store = MemoryStore()
    >>> stored = store.put(io.BytesIO(b"model"))
    >>> store.open(stored.digest).read()
    b'model'
    """

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[bytes, datetime]] = {}
        self._uploads: dict[str, tuple[bytes, datetime]] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return "the store in memory"

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> Stored:
        if expect is not None:
            check_digest(expect)
        content = b"".join(chunks_of(stream))
        found = hashlib.sha256(content).hexdigest()
        refuse_mismatch(found, expect, len(content))
        with self._lock:
            self._blobs[found] = (content, datetime.now(UTC))
        return Stored(digest=found, size=len(content))

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        if check_digest(digest) not in self._blobs:
            raise no_blob(self, digest)
        stream = io.BytesIO(self._blobs[digest][0])
        stream.seek(offset)
        return stream

    def size(self, digest: str) -> int | None:
        found = self._blobs.get(check_digest(digest))
        return None if found is None else len(found[0])

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        check_prefix(prefix)
        for digest, (content, modified) in sorted(self._blobs.items()):
            if digest.startswith(prefix):
                yield StoredBlob(digest=digest, size=len(content), modified=modified)

    def delete(self, digest: str, *, if_older_than: datetime | None = None) -> bool:
        check_digest(digest)
        with self._lock:
            found = self._blobs.get(digest)
            if found is None or (if_older_than is not None and found[1] >= if_older_than):
                return False
            del self._blobs[digest]
        return True

    def append(self, upload_id: str, offset: int, stream: BinaryIO) -> int:
        self._add(upload_id, offset, b"")
        for chunk in chunks_of(stream):
            self._add(upload_id, offset, chunk)
            offset += len(chunk)
        return offset

    def offset(self, upload_id: str) -> int:
        return len(self._uploads.get(check_upload_id(upload_id), (b"",))[0])

    def finish(self, upload_id: str, digest: str) -> Stored:
        check_digest(digest)
        content = self._uploads.get(check_upload_id(upload_id), (b"",))[0]
        if not content and digest != EMPTY:
            raise no_upload(upload_id)
        try:
            stored = self.put(io.BytesIO(content), expect=digest)
        except DigestMismatch:
            self.abandon(upload_id)
            raise
        self.abandon(upload_id)
        return stored

    def abandon(self, upload_id: str) -> None:
        self._uploads.pop(check_upload_id(upload_id), None)

    def uploads(self) -> Iterator[PendingUpload]:
        for upload_id, (content, modified) in sorted(self._uploads.items()):
            yield PendingUpload(id=upload_id, size=len(content), modified=modified)

    def _add(self, upload_id: str, offset: int, chunk: bytes) -> None:
        with self._lock:
            right = self.offset(upload_id)
            if offset != right:
                raise wrong_offset(upload_id, offset, right)
            self._uploads[upload_id] = (self._uploads.get(upload_id, (b"",))[0] + chunk, datetime.now(UTC))

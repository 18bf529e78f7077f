"""A store that is a folder of this machine, shared by its processes.

blobs/ab/ab12...   read-only, one per digest
uploads/<id>       spool files of sessions, and what is being put
lock               shared by whoever publishes, exclusive for whoever removes what is old
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from fairlead.errors import DigestMismatch, StoreUnavailable
from fairlead.places import NO_ROOM
from fairlead.stores.durable import flush_folder, locked, rename
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
    store_full,
    wrong_offset,
)

_READ_ONLY = 0o440
_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700


class FolderStore:
    """Blobs below a folder, which is made if need be. Nothing in it is ever rewritten in place."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._blobs = self.path / "blobs"
        self._uploads = self.path / "uploads"
        with self._answering():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self._blobs, self._uploads):
                folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)

    def __str__(self) -> str:
        return f"the store {self.path}"

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> Stored:
        if expect is not None:
            check_digest(expect)
        spool = self._uploads / f"put-{uuid.uuid4().hex}"
        try:
            found, size = self._spool(stream, spool)
            refuse_mismatch(found, expect, size)
            with self._answering():
                self._publish(spool, found)
        finally:
            spool.unlink(missing_ok=True)
        return Stored(digest=found, size=size)

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        with self._answering():
            try:
                stream = self.place(digest).open("rb")
            except FileNotFoundError:
                raise no_blob(self, digest) from None
        stream.seek(offset)
        return stream

    def place(self, digest: str) -> Path:
        """Where the blob is or would be, for whoever links to it; it must not be written to."""
        check_digest(digest)
        return self._blobs / digest[:2] / digest

    def size(self, digest: str) -> int | None:
        with self._answering():
            try:
                return self.place(digest).stat().st_size
            except FileNotFoundError:
                return None

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        check_prefix(prefix)
        for folder in sorted(self._blobs.iterdir()):
            if folder.name.startswith(prefix[:2]):
                yield from self._listed(folder, prefix)

    def delete(self, digest: str, *, if_older_than: datetime | None = None) -> bool:
        place = self.place(digest)
        with self._answering(), self._held():
            try:
                if if_older_than is not None and _modified(place.stat()) >= if_older_than:
                    return False
                place.unlink()
            except FileNotFoundError:
                return False
        return True

    def append(self, upload_id: str, offset: int, stream: BinaryIO) -> int:
        """Each piece is added under a lock, and only where its predecessor ended: of two senders, one is told that it is late."""
        spool = self._spool_of(upload_id)
        with self._answering():
            handle = os.open(spool, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)
        try:
            self._add(upload_id, handle, offset, b"")
            for chunk in chunks_of(stream):
                self._add(upload_id, handle, offset, chunk)
                offset += len(chunk)
        finally:
            os.close(handle)
        return offset

    def offset(self, upload_id: str) -> int:
        with self._answering():
            try:
                return self._spool_of(upload_id).stat().st_size
            except FileNotFoundError:
                return 0

    def finish(self, upload_id: str, digest: str) -> Stored:
        check_digest(digest)
        spool = self._spool_of(upload_id)
        with self._answering():
            try:
                handle = os.open(spool, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return self._finish_empty(upload_id, digest)
        with os.fdopen(handle, "rb") as stream, locked(handle):
            if not _is_at(handle, spool):
                raise no_upload(upload_id)
            return self._finish(spool, stream, digest)

    def abandon(self, upload_id: str) -> None:
        with self._answering():
            self._spool_of(upload_id).unlink(missing_ok=True)

    def uploads(self) -> Iterator[PendingUpload]:
        for path in sorted(self._uploads.iterdir()):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            yield PendingUpload(id=path.name, size=found.st_size, modified=_modified(found))

    def _spool_of(self, upload_id: str) -> Path:
        return self._uploads / check_upload_id(upload_id)

    def _spool(self, stream: BinaryIO, spool: Path) -> tuple[str, int]:
        """What reads may raise is the stream's affair, what writes raise is the store's."""
        hasher, size = hashlib.sha256(), 0
        with self._answering():
            handle = os.open(spool, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        try:
            for chunk in chunks_of(stream):
                hasher.update(chunk)
                size += len(chunk)
                with self._answering():
                    _write(handle, chunk)
            with self._answering():
                os.fsync(handle)
        finally:
            os.close(handle)
        return hasher.hexdigest(), size

    def _add(self, upload_id: str, handle: int, offset: int, chunk: bytes) -> None:
        with self._answering(), locked(handle):
            right = os.fstat(handle).st_size
            if not _is_at(handle, self._spool_of(upload_id)):
                raise no_upload(upload_id)
            if offset != right:
                raise wrong_offset(upload_id, offset, right)
            _write(handle, chunk)

    def _finish(self, spool: Path, stream: BinaryIO, digest: str) -> Stored:
        with self._answering():
            found, size = _hash(stream)
        try:
            refuse_mismatch(found, digest, size)
        except DigestMismatch:
            spool.unlink(missing_ok=True)
            raise
        with self._answering():
            os.fsync(stream.fileno())
            self._publish(spool, digest)
        return Stored(digest=digest, size=size)

    def _finish_empty(self, upload_id: str, digest: str) -> Stored:
        if digest != EMPTY:
            raise no_upload(upload_id)
        with Path(os.devnull).open("rb") as nothing:
            return self.put(nothing, expect=digest)

    def _publish(self, spool: Path, digest: str) -> None:
        place = self.place(digest)
        if not place.parent.is_dir():
            place.parent.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
            flush_folder(self._blobs)
        os.utime(spool)
        spool.chmod(_READ_ONLY)
        with self._held(shared=True):
            rename(spool, place)

    def _listed(self, folder: Path, prefix: str) -> Iterator[StoredBlob]:
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(prefix):
                continue
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            yield StoredBlob(digest=path.name, size=found.st_size, modified=_modified(found))

    @contextmanager
    def _held(self, *, shared: bool = False) -> Iterator[None]:
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            with locked(handle, shared=shared):
                yield
        finally:
            os.close(handle)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """What the disk refuses, in a sentence."""
        try:
            yield
        except OSError as fault:
            if fault.errno in NO_ROOM:
                raise store_full(self) from fault
            raise StoreUnavailable(f"The store {self.path} cannot be used: {fault.strerror or fault}. See to its disk and its permissions.") from fault


def _write(handle: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _hash(stream: BinaryIO) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    for chunk in chunks_of(stream):
        hasher.update(chunk)
        size += len(chunk)
    return hasher.hexdigest(), size


def _is_at(handle: int, path: Path) -> bool:
    """Whether the name still belongs to the open file: it does not once the session was finished or abandoned."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _modified(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)

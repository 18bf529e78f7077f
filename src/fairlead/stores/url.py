"""A store behind a URL, through fsspec: S3, Google Cloud Storage, Azure Blob Storage; memory:// for tests.

    blobs/ab/ab12...                  one object per digest
    uploads/<id>/<first>-<end>        what one append brought, or a piece of it

A blob's object is written in one step, which object stores do atomically, after its bytes were checked in a file of this machine.
Addresses and credentials come from the machine's own configuration: AWS_ENDPOINT_URL, AWS_PROFILE, instance roles and so on.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar

from fairlead.errors import DigestMismatch, StoreFull, StoreUnavailable
from fairlead.stores.entries import modified_of
from fairlead.stores.parts import Part, Segment, cover, part_name, read_part
from fairlead.stores.ranges import stream_of
from fairlead.stores.retrying import persist
from fairlead.stores.schemes import connect
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

_SMALL = 8 << 20  # up to here a blob is held in memory on its way, above it goes through a file
_PART = 16 << 20

T = TypeVar("T")


class UrlStore:
    """Blobs below a URL such as s3://bucket/folder. spool: where large blobs lie while they are checked, by default the system's folder for such files."""

    def __init__(self, url: str, *, spool: Path | None = None) -> None:
        self._connection = connect(url)
        self.url = url.rstrip("/")
        self._spool = spool
        self._fs: Any = self._connection.filesystem
        self._root = self._connection.root

    def __str__(self) -> str:
        return f"the store {self.url}"

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> Stored:
        if expect is not None:
            check_digest(expect)
        head, fault = _read_up_to(stream, _SMALL)
        if fault is not None:
            raise fault
        if len(head) < _SMALL:
            return self._put_bytes(head, expect)
        with self._spooling() as spool:
            found, size = self._copy(head, stream, spool)
            refuse_mismatch(found, expect, size)
            self._publish(found, size, partial(self._send_file, spool, self._place(found)))
        return Stored(digest=found, size=size)

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        size = self.size(digest)
        if size is None:
            raise no_blob(self, digest)
        return stream_of(partial(self._read, self._place(digest)), size, offset)

    def size(self, digest: str) -> int | None:
        entry = self._entry(self._place(check_digest(digest)))
        return None if entry is None else int(entry["size"])

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        check_prefix(prefix)
        for folder in [prefix[:2]] if len(prefix) >= 2 else self._folders(prefix):
            for path, entry in sorted(self._find(f"blobs/{folder}").items()):
                digest = path.rpartition("/")[2]
                if digest.startswith(prefix):
                    yield StoredBlob(digest=digest, size=int(entry["size"]), modified=modified_of(entry))

    def delete(self, digest: str, *, if_older_than: datetime | None = None) -> bool:
        """Object stores know no condition on time: a blob put again in the milliseconds between question and removal is lost."""
        path = self._place(check_digest(digest))
        entry = self._entry(path)
        if entry is None or (if_older_than is not None and modified_of(entry) >= if_older_than):
            return False
        self._remove(path)
        return True

    def append(self, upload_id: str, offset: int, stream: BinaryIO) -> int:
        right = self.offset(upload_id)
        if offset != right:
            raise wrong_offset(upload_id, offset, right)
        while True:
            piece, fault = _read_up_to(stream, _PART)
            if piece:
                path = f"{self._session(upload_id)}/{part_name(offset, offset + len(piece))}"
                self._persist(partial(self._fs.pipe_file, f"{self._root}/{path}", piece))
                offset += len(piece)
            if fault is not None:
                raise fault
            if len(piece) < _PART:
                return offset

    def offset(self, upload_id: str) -> int:
        segments = cover(self._parts(upload_id))
        return segments[-1].end if segments else 0

    def finish(self, upload_id: str, digest: str) -> Stored:
        check_digest(digest)
        parts = self._parts(upload_id)
        segments = cover(parts)
        if not segments and digest != EMPTY:
            raise no_upload(upload_id)
        size = segments[-1].end if segments else 0
        try:
            stored = self.put(stream_of(partial(self._read_segment, segments), size), expect=digest)
        except DigestMismatch:
            self.abandon(upload_id)
            raise
        self._remove(*(part.path for part in parts))
        return stored

    def abandon(self, upload_id: str) -> None:
        self._remove(*self._find(self._session(upload_id)))

    def uploads(self) -> Iterator[PendingUpload]:
        found = sorted(self._find("uploads").items())
        for upload_id, entries in groupby(found, key=lambda each: each[0].split("/")[-2]):
            objects = list(entries)
            parts = [part for path, _ in objects if (part := read_part(path))]
            segments = cover(parts)
            yield PendingUpload(
                id=upload_id,
                size=segments[-1].end if segments else 0,
                modified=max(modified_of(entry) for _, entry in objects),
            )

    def _put_bytes(self, content: bytes, expect: str | None) -> Stored:
        found = hashlib.sha256(content).hexdigest()
        refuse_mismatch(found, expect, len(content))
        self._publish(found, len(content), partial(self._fs.pipe_file, self._place(found), content))
        return Stored(digest=found, size=len(content))

    def _publish(self, digest: str, size: int, send: Callable[[], object]) -> None:
        """Sends, and looks whether it is there: what a library lost on the way is found out here.

        A library whose answer was lost completes an upload twice and is told the second time that there is no such upload.
        """
        for last in (False, False, True):
            try:
                persist(send, f"The store {self.url}")
            except FileNotFoundError as fault:
                if last:
                    raise self._not_there(fault) from fault
            entry = self._entry(self._place(digest))
            if entry is not None and int(entry["size"]) == size:
                return
        raise StoreUnavailable(f"The store {self.url} took blob {digest} and does not show it whole. Try again; see to its rights if that does not help.")

    def _send_file(self, spool: IO[bytes], path: str) -> None:
        spool.flush()
        if self._connection.in_memory:
            spool.seek(0)
            self._fs.pipe_file(path, spool.read())
        else:
            self._fs.put_file(f"/dev/fd/{spool.fileno()}", path, **self._connection.sending)

    def _copy(self, head: bytes, stream: BinaryIO, spool: IO[bytes]) -> tuple[str, int]:
        hasher, size = hashlib.sha256(head), len(head)
        self._write(spool, head)
        for chunk in chunks_of(stream):
            hasher.update(chunk)
            size += len(chunk)
            self._write(spool, chunk)
        return hasher.hexdigest(), size

    def _spooling(self) -> IO[bytes]:
        try:
            if self._spool is not None:
                self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
            return tempfile.TemporaryFile(dir=self._spool)
        except OSError as fault:
            raise self._no_spool(fault) from fault

    def _write(self, spool: IO[bytes], chunk: bytes) -> None:
        try:
            spool.write(chunk)
        except OSError as fault:
            raise self._no_spool(fault) from fault

    def _no_spool(self, fault: OSError) -> StoreFull:
        place = self._spool or tempfile.gettempdir()
        return StoreFull(f"{place}, where blobs for {self} are checked, takes no more ({fault.strerror}). Free some space there, or point TMPDIR elsewhere.")

    def _place(self, digest: str) -> str:
        return f"{self._root}/blobs/{digest[:2]}/{digest}"

    def _session(self, upload_id: str) -> str:
        return f"uploads/{check_upload_id(upload_id)}"

    def _parts(self, upload_id: str) -> Sequence[Part]:
        return [part for path in self._find(self._session(upload_id)) if (part := read_part(path))]

    def _read_segment(self, segments: Sequence[Segment], start: int, end: int) -> bytes:
        segment = next(each for each in segments if each.start <= start < each.end)
        part = segment.part
        return self._read(part.path, start - part.start, min(end, segment.end) - part.start)

    def _read(self, path: str, start: int, end: int) -> bytes:
        return self._persist(partial(self._read_once, path, start, end))

    def _read_once(self, path: str, start: int, end: int) -> bytes:
        content: bytes = self._fs.cat_file(path, start=start, end=end)
        if len(content) != end - start:
            raise OSError(f"{len(content)} of {end - start} bytes arrived")
        return content

    def _entry(self, path: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = persist(partial(self._fs.info, path), f"The store {self.url}")
        except FileNotFoundError:
            return None
        return found if found["type"] == "file" else None

    def _find(self, below: str) -> dict[str, dict[str, Any]]:
        found = self._persist(partial(self._fs.find, f"{self._root}/{below}", detail=True))
        return {path: entry for path, entry in found.items() if entry["type"] == "file"}

    def _folders(self, prefix: str) -> Sequence[str]:
        try:
            names = persist(partial(self._fs.ls, f"{self._root}/blobs", detail=False), f"The store {self.url}")
        except FileNotFoundError:
            return []
        return sorted(name for path in names if (name := path.rstrip("/").rpartition("/")[2]).startswith(prefix))

    def _remove(self, *paths: str) -> None:
        for path in paths:
            try:
                persist(partial(self._fs.rm_file, path), f"The store {self.url}")
            except (FileNotFoundError, KeyError):
                continue

    def _persist(self, act: Callable[[], T]) -> T:
        try:
            return persist(act, f"The store {self.url}")
        except FileNotFoundError as fault:
            raise self._not_there(fault) from fault

    def _not_there(self, fault: FileNotFoundError) -> StoreUnavailable:
        return StoreUnavailable(f"The store {self.url} is not there ({str(fault).rstrip('.')}). Make the bucket or container first, or give another URL.")


def _read_up_to(stream: BinaryIO, size: int) -> tuple[bytes, Exception | None]:
    """What the stream gave before its end, before `size`, or before it broke; and the break."""
    found = bytearray()
    try:
        while len(found) < size and (chunk := stream.read(min(size - len(found), 1 << 20))):
            found += chunk
    except Exception as fault:  # noqa: BLE001 - how a stream breaks is its owner's affair: it is raised on, after its bytes are safe
        return bytes(found), fault
    return bytes(found), None

"""Folders to a server and back: only what is missing travels, and a cut costs what was on its way at that moment."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from fairlead.client import blobs
from fairlead.client.transport import Transport
from fairlead.errors import BlobDamaged, DigestMismatch, Unavailable, UploadNotFound, UsageError, WrongOffset
from fairlead.schemas.blobs import Upload
from fairlead.stores.store import chunks_of
from fairlead.stores.trees import LARGEST_MANIFEST, Tree, lay_down, parse

Progress = Callable[[int], None]

_AT_ONCE = 4  # most files of a model are small, and a request is mostly waiting
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds, while nothing moves; any progress starts them again

T = TypeVar("T")


def upload_tree(connection: Transport, tree: Tree, folder: Path, progress: Progress | None = None, *, again: bool = False) -> str:
    """Brings the tree's files, which lie at `folder` (or are that one file), and then the tree itself; answers its digest.

    progress is told how many bytes are there more; together they are the tree's size. again: also what the workspace has, to mend damage.
    Raises QuotaExceeded, UsageError when a file changed meanwhile, Unavailable when the server stays away.
    """
    places = {file.sha256: (folder if folder.is_file() else folder / file.path) for file in tree.files}
    times = Counter(file.sha256 for file in tree.files)
    missing = {*places, tree.digest} if again else blobs.list_missing(connection, [*places, tree.digest])
    told = _Told(progress)
    told.add(sum(size * times[digest] for digest, size in tree.blobs.items() if digest not in missing))

    def send(digest: str) -> None:
        size = tree.blobs[digest]
        upload_blob(connection, digest, size, partial(_open_at, places[digest]), told.add, again=again)
        told.add(size * (times[digest] - 1))

    _do_all(send, [digest for digest in places if digest in missing])
    if tree.digest in missing:
        manifest = tree.to_bytes()
        upload_blob(connection, tree.digest, len(manifest), lambda offset: io.BytesIO(manifest[offset:]), again=again)
    return tree.digest


def upload_blob(
    connection: Transport,
    digest: str,
    size: int,
    open_at: Callable[[int], BinaryIO],
    progress: Progress | None = None,
    *,
    again: bool = False,
) -> None:
    """Brings one content, however often the connection is cut. open_at(offset): its bytes from there on."""
    told = _Told(progress)
    reached, mismatches, pauses = -1, 0, iter(_PAUSES)
    while True:
        try:
            upload = blobs.begin_upload(connection, digest, size, again=again)
            if upload.offset > reached:
                reached, pauses = upload.offset, iter(_PAUSES)
            told.reach(upload.offset)
            if upload.complete or blobs.continue_upload(connection, upload, _content(open_at, upload, told)).complete:
                told.reach(size)
                return
        except DigestMismatch:
            mismatches += 1
            if mismatches > 1:  # the first time, what had come before may have been somebody else's
                raise
        except (WrongOffset, UploadNotFound, Unavailable):
            if (pause := next(pauses, None)) is None:
                raise
            threading.Event().wait(pause)


def download_tree(connection: Transport, digest: str, folder: Path, progress: Progress | None = None) -> Tree:
    """Makes the folder with the tree's files, each checked by its digest. What a broken download brought is used by the next.

    Raises BlobNotFound, BlobDamaged, Conflict when something else is at `folder`, Unavailable when the server stays away.
    """
    source = blobs.Blobs(connection)
    tree = _persist(lambda: _read_tree(source, digest), lambda: 0)
    told = _Told(progress)

    def attempt() -> None:
        told.begin()
        lay_down(source, tree, folder, resume=True, on_progress=told.add_again)

    _persist(attempt, lambda: told.reached)
    told.reach(tree.size)
    return tree


class _Told:
    """What progress has been told: never more than once for a byte, also when attempts repeat. Threads may share it."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._at = 0
        self.reached = 0

    def begin(self) -> None:
        """Another attempt counts from 0."""
        self._at = 0

    def add_again(self, size: int) -> None:
        """The attempt has `size` bytes more, which an earlier one may have had already."""
        self._at += size
        self.reach(self._at)

    def add(self, size: int) -> None:
        with self._lock:
            self._tell(self.reached + size)

    def reach(self, total: int) -> None:
        with self._lock:
            self._tell(total)

    def _tell(self, total: int) -> None:
        if total > self.reached:
            if self._progress:
                self._progress(total - self.reached)
            self.reached = total


def _do_all(act: Callable[[str], None], digests: list[str]) -> None:
    """The first failure ends the rest."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for _ in pool.map(act, digests):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _open_at(place: Path, offset: int) -> BinaryIO:
    try:
        stream = place.open("rb")
    except OSError as fault:
        raise UsageError(f"{place} cannot be read any more ({fault.strerror}); nothing was registered.") from fault
    stream.seek(offset)
    return stream


def _content(open_at: Callable[[int], BinaryIO], upload: Upload, told: _Told) -> Iterator[bytes]:
    at = upload.offset
    with open_at(at) as stream:
        for chunk in chunks_of(stream):
            if at + len(chunk) > upload.size:
                break
            yield chunk
            at += len(chunk)
            told.reach(at)
    if at != upload.size:
        raise UsageError(f"A file of {upload.size} bytes has another size now; wait until it is written, and try again.")


def _read_tree(source: blobs.Blobs, digest: str) -> Tree:
    with source.open(digest) as stream:
        content = b"".join(chunks_of(stream))
    if len(content) > LARGEST_MANIFEST or hashlib.sha256(content).hexdigest() != digest:
        raise BlobDamaged(f"Blob {digest} in {source} is damaged: its bytes have another digest. Upload it again, which mends it.")
    return parse(content)


def _persist(act: Callable[[], T], reached: Callable[[], int]) -> T:
    """Acts until it works; what was reached more since the last try starts the pauses again."""
    before, pauses = reached(), iter(_PAUSES)
    while True:
        try:
            return act()
        except Unavailable:
            if reached() > before:
                before, pauses = reached(), iter(_PAUSES)
            if (pause := next(pauses, None)) is None:
                raise
            threading.Event().wait(pause)

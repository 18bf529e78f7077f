"""Brings a blob to a file: resumed after a cut, checked, and under its name only when it is right."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fairlead.errors import BlobDamaged, StoreFull, UsageError
from fairlead.places import NO_ROOM
from fairlead.stores.durable import rename, try_lock
from fairlead.stores.store import Readable, check_digest, chunks_of

Progress = Callable[[int], None]


def fetch(source: Readable, digest: str, destination: Path, *, on_progress: Progress | None = None) -> None:
    """Writes the blob to `destination`, replacing what is there in one step.

    What an earlier, broken fetch left beside the destination is used. on_progress is told how many bytes came more.
    Raises BlobDamaged when the source's bytes are not those of the digest; then the destination is as it was.
    """
    check_digest(digest)
    with _writing(destination):
        partial = _open_partial(destination, digest)
    with partial:
        try:
            _receive(source, digest, partial, destination, on_progress)
        except BaseException:
            _keep_or_drop(partial)
            raise


def _receive(source: Readable, digest: str, partial: BinaryIO, destination: Path, on_progress: Progress | None) -> None:
    right, size = _fill(source, digest, partial, destination, on_progress)
    if not right:  # what lay there from before was wrong, or the source is: from the first byte on
        _tell(on_progress, -size)
        partial.truncate(0)
        right, size = _fill(source, digest, partial, destination, on_progress)
    if not right:
        partial.truncate(0)
        raise BlobDamaged(f"Blob {digest} in {source} is damaged: its bytes have another digest. Upload the file again, which mends it.")
    with _writing(destination):
        partial.flush()
        os.fsync(partial.fileno())
        rename(Path(partial.name), destination)


def _open_partial(destination: Path, digest: str) -> BinaryIO:
    """The file that earlier attempts began, for one at a time: whoever finds it taken begins another."""
    path = destination.with_name(f".{destination.name[:100]}.{digest[:16]}.part")
    partial = path.open("a+b")
    if try_lock(partial.fileno()) and _is_still(partial, path):
        return partial
    partial.close()
    return destination.with_name(f".{uuid.uuid4().hex}.part").open("x+b")


def _is_still(partial: BinaryIO, path: Path) -> bool:
    """Between opening and locking, its former holder may have renamed it: then it is a finished file."""
    return path.exists() and os.path.samestat(os.fstat(partial.fileno()), path.stat())


def _keep_or_drop(partial: BinaryIO) -> None:
    """What arrived before a cut is worth keeping; an empty file is not."""
    if not os.fstat(partial.fileno()).st_size:
        Path(partial.name).unlink(missing_ok=True)


def _fill(source: Readable, digest: str, partial: BinaryIO, destination: Path, on_progress: Progress | None) -> tuple[bool, int]:
    """Goes on where the file ends; whether it has the digest then, and its size."""
    partial.seek(0)
    hasher, size = hashlib.sha256(), 0
    for chunk in chunks_of(partial):
        hasher.update(chunk)
        size += len(chunk)
    _tell(on_progress, size)
    with source.open(digest, size) as stream:
        for chunk in chunks_of(stream):
            with _writing(destination):
                partial.write(chunk)
            hasher.update(chunk)
            size += len(chunk)
            _tell(on_progress, len(chunk))
    return hasher.hexdigest() == digest, size


def _tell(on_progress: Progress | None, size: int) -> None:
    if on_progress and size:
        on_progress(size)


@contextmanager
def _writing(destination: Path) -> Iterator[None]:
    """What this machine's disk refuses, in a sentence that does not blame the store."""
    try:
        yield
    except OSError as fault:
        if fault.errno in NO_ROOM:
            raise StoreFull(f"There is no space left in {destination.parent} for {destination.name}; free some and try again.") from fault
        raise UsageError(f"{destination} cannot be written ({fault.strerror or fault}); give another place.") from fault

"""Mark and sweep: whoever knows what is needed says so; what nobody needs and nobody put lately goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fairlead.stores.store import Readable, Store
from fairlead.stores.trees import LARGEST_MANIFEST, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What went: blobs, their bytes, and uploads that nobody continued. Blobs that stayed are `kept`."""

    blobs: int
    bytes: int
    uploads: int
    kept: int


def sweep(store: Store, marked: Iterable[str], older_than: timedelta, *, dry_run: bool = False) -> Swept:
    """Removes blobs whose digest is not marked, and uploads, when they were last written longer ago than `older_than`.

    The grace protects what was put and is about to be referred to: it must be longer than the time between the two.
    dry_run: only counts.
    """
    needed = frozenset(bytes.fromhex(digest) for digest in marked)
    before = datetime.now(UTC) - older_than
    blobs = size = kept = 0
    for blob in store.list():
        unneeded = bytes.fromhex(blob.digest) not in needed and blob.modified < before
        if unneeded and (dry_run or store.delete(blob.digest, if_older_than=before)):
            blobs, size = blobs + 1, size + blob.size
        else:
            kept += 1
    return Swept(blobs=blobs, bytes=size, uploads=_sweep_uploads(store, before, dry_run=dry_run), kept=kept)


def marks_of(store: Readable, trees: Iterable[str]) -> Iterator[str]:
    """The digests of trees and of every file in them. Raises BlobNotFound, InvalidTree: nothing may be swept on half the marks."""
    for digest in trees:
        yield digest
        with store.open(digest) as stream:
            yield from parse(stream.read(LARGEST_MANIFEST + 1)).blobs


def _sweep_uploads(store: Store, before: datetime, *, dry_run: bool) -> int:
    old = [upload.id for upload in store.uploads() if upload.modified < before]
    for upload_id in old:
        if not dry_run:
            store.abandon(upload_id)
    return len(old)

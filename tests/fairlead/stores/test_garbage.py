"""What is swept, what stays, and what the grace is for."""

from __future__ import annotations

import io
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from fairlead.errors import BlobNotFound, InvalidTree
from fairlead.stores import FolderStore, Store, Swept, marks_of, sweep, tree_of
from fairlead.testing import MemoryStore

NOW = timedelta(microseconds=-1)  # older than the next microsecond: no grace at all
HOUR = timedelta(hours=1)


def put(store: Store, *contents: bytes) -> list[str]:
    return [store.put(io.BytesIO(content)).digest for content in contents]


def age(path: Path) -> None:
    os.utime(path, (time.time() - 7200, time.time() - 7200))


@pytest.mark.parametrize("kind", [MemoryStore, FolderStore])
def test_what_is_marked_stays_and_the_rest_goes(kind: type, tmp_path: Path) -> None:
    store: Store = MemoryStore() if kind is MemoryStore else FolderStore(tmp_path)
    kept, *_ = put(store, b"kept", b"gone", b"gone, too")
    store.append("u", 0, io.BytesIO(b"abandoned"))
    would = sweep(store, [kept], NOW, dry_run=True)
    assert len(list(store.list())) == 3
    assert sweep(store, iter([kept, "0" * 64]), NOW) == would == Swept(blobs=2, bytes=13, uploads=1, kept=1)
    assert [blob.digest for blob in store.list()] == [kept]
    assert list(store.uploads()) == []


def test_what_was_put_within_the_grace_stays(folder_store: FolderStore) -> None:
    old, renewed, _ = put(folder_store, b"old", b"old, and put again", b"new")
    for name in ("old", "new"):
        folder_store.append(name, 0, io.BytesIO(b"x"))
    for path in (folder_store.place(old), folder_store.place(renewed), folder_store.path / "uploads" / "old"):
        age(path)
    put(folder_store, b"old, and put again")
    assert sweep(folder_store, [], HOUR) == Swept(blobs=1, bytes=3, uploads=1, kept=2)
    assert folder_store.size(old) is None
    assert [upload.id for upload in folder_store.uploads()] == ["new"]


def test_what_is_put_again_during_the_sweep_stays(folder_store: FolderStore) -> None:
    """The listing said that it is old; by the time of its removal it is not."""
    (digest,) = put(folder_store, b"content")
    age(folder_store.place(digest))

    class Busy(FolderStore):
        def delete(self, digest: str, **how: object) -> bool:
            put(self, b"content")
            return super().delete(digest, **how)  # type: ignore[arg-type]

    assert sweep(Busy(folder_store.path), [], HOUR).blobs == 0
    assert folder_store.size(digest) == 7


def test_a_tree_marks_its_files(tmp_path: Path) -> None:
    store = MemoryStore()
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    tree = tree_of(tmp_path)
    needed = put(store, tree.to_bytes(), b"a", b"b")
    put(store, b"c")
    assert sorted(marks_of(store, [tree.digest])) == sorted(needed)
    assert sweep(store, marks_of(store, [tree.digest]), NOW).blobs == 1


def test_half_the_marks_sweep_nothing(folder_store: FolderStore) -> None:
    (other,) = put(folder_store, b"no tree")
    for trees, fault in (([other], InvalidTree), (["0" * 64], BlobNotFound)):
        with pytest.raises(fault):
            sweep(folder_store, marks_of(folder_store, trees), NOW)
    assert len(list(folder_store.list())) == 1

"""Stores that are broken on purpose: bits that flip, disks that are full, processes that are killed, networks that lie."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from fairlead.errors import BlobDamaged, StoreFull, StoreUnavailable, UsageError
from fairlead.stores import FolderStore, UrlStore, fetch
from tests.fairlead.stores.contract import MEGABYTE, Breaking, digest_of, megabytes, read
from tests.s3 import S3Server

CONTENT = megabytes(12)
DIGEST = digest_of(CONTENT)
PUT_SLOWLY = """
import sys
from pathlib import Path
from fairlead.stores import FolderStore

class Slow:
    def __init__(self):
        self.left = 5
    def read(self, size):
        self.left -= 1
        if self.left:
            return bytes(size)
        print("half way", flush=True)
        sys.stdin.read()

store = FolderStore(Path(sys.argv[1]))
store.{act}
"""


def damage(place: Path, change: Callable[[bytearray], object]) -> None:
    content = bytearray(place.read_bytes())
    change(content)
    place.chmod(0o600)
    place.write_bytes(content)


def flip(content: bytearray) -> None:
    content[7 * MEGABYTE] ^= 1


@pytest.mark.parametrize("change", [flip, bytearray.clear, lambda content: content.extend(b"x"), lambda content: content.pop()])
def test_a_bit_that_flipped_in_the_folder_is_found_and_mended_by_putting_again(
    folder_store: FolderStore, tmp_path: Path, change: Callable[[bytearray], object]
) -> None:
    folder_store.put(io.BytesIO(CONTENT))
    damage(folder_store.place(DIGEST), change)
    (tmp_path / "out").write_bytes(b"as it was")
    with pytest.raises(BlobDamaged, match=f"Blob {DIGEST} in the store .*store is damaged"):
        fetch(folder_store, DIGEST, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out", "store"}
    assert (tmp_path / "out").read_bytes() == b"as it was"
    folder_store.put(io.BytesIO(CONTENT))
    fetch(folder_store, DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_swapped_blobs_are_found(folder_store: FolderStore, tmp_path: Path) -> None:
    one, two = (folder_store.put(io.BytesIO(content)).digest for content in (b"one", b"two"))
    folder_store.place(one).rename(tmp_path / "kept")
    folder_store.place(two).rename(folder_store.place(one))
    with pytest.raises(BlobDamaged, match=one):
        fetch(folder_store, one, tmp_path / "out")


@pytest.mark.needs("s3fs", "moto")
def test_an_object_that_was_replaced_is_found(s3_store: UrlStore, tmp_path: Path) -> None:
    s3_store.put(io.BytesIO(CONTENT))
    damaged = bytearray(CONTENT)
    flip(damaged)
    s3_store._fs.pipe_file(f"{s3_store._root}/blobs/{DIGEST[:2]}/{DIGEST}", bytes(damaged))
    with pytest.raises(BlobDamaged, match=DIGEST):
        fetch(s3_store, DIGEST, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_lies_beside_the_file_from_another_time_does_no_harm(folder_store: FolderStore, tmp_path: Path) -> None:
    folder_store.put(io.BytesIO(CONTENT))
    told: list[int] = []
    (tmp_path / f".out.{DIGEST[:16]}.part").write_bytes(b"something else")
    fetch(folder_store, DIGEST, tmp_path / "out", on_progress=told.append)
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)


def test_fetching_twice_at_once_gives_two_whole_files(folder_store: FolderStore, tmp_path: Path) -> None:
    folder_store.put(io.BytesIO(CONTENT))

    class Nested:
        """While the first is on its way, a second begins and ends."""

        def open(self, digest: str, offset: int = 0) -> BinaryIO:
            fetch(folder_store, digest, tmp_path / "out")
            return folder_store.open(digest, offset)

    fetch(Nested(), DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert {path.name for path in tmp_path.iterdir()} == {"out", "store"}


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process grows larger: the kernel answers EFBIG, through the same calls as ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing_half_visible(folder_store: FolderStore) -> None:
    with disk_of(5 * MEGABYTE), pytest.raises(StoreFull, match="no space left for the store"):
        folder_store.put(io.BytesIO(CONTENT))
    assert (list(folder_store.list()), list(folder_store.uploads())) == ([], [])


def test_an_upload_goes_on_after_space_was_made(folder_store: FolderStore) -> None:
    with disk_of(5 * MEGABYTE), pytest.raises(StoreFull):
        folder_store.append("u", 0, io.BytesIO(CONTENT))
    arrived = folder_store.offset("u")
    assert arrived == 5 * MEGABYTE
    folder_store.append("u", arrived, io.BytesIO(CONTENT[arrived:]))
    assert folder_store.finish("u", DIGEST).size == len(CONTENT)


def test_a_fetch_onto_a_full_disk_blames_the_disk_and_goes_on_later(folder_store: FolderStore, tmp_path: Path) -> None:
    folder_store.put(io.BytesIO(CONTENT))
    with disk_of(5 * MEGABYTE), pytest.raises(StoreFull, match=f"no space left in {tmp_path} for out"):
        fetch(folder_store, DIGEST, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    fetch(folder_store, DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT


@pytest.mark.needs("s3fs", "moto")
def test_a_full_disk_on_the_way_to_an_object_store_is_named(s3_store: UrlStore) -> None:
    with disk_of(5 * MEGABYTE), pytest.raises(StoreFull, match="point TMPDIR elsewhere"):
        s3_store.put(io.BytesIO(CONTENT))
    assert list(s3_store.list()) == []


def test_large_blobs_are_checked_where_it_was_said(tmp_path: Path) -> None:
    """The folder is made when it is needed; what lies in it has no name, so nothing is left whatever happens."""
    store = UrlStore(f"memory://{tmp_path.name}/spooled", spool=tmp_path / "cache" / "spool")
    assert store.put(io.BytesIO(CONTENT)).digest == DIGEST
    assert not list((tmp_path / "cache" / "spool").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(StoreFull, match=f"{tmp_path}/file/below, where blobs for .* are checked, takes no more"):
        UrlStore(f"memory://{tmp_path.name}/spooled", spool=tmp_path / "file" / "below").put(io.BytesIO(CONTENT))


@pytest.mark.parametrize(("call", "number"), [("fsync", errno.ENOSPC), ("fsync", errno.EIO), ("replace", errno.EDQUOT)])
def test_a_disk_that_fails_late_leaves_nothing(folder_store: FolderStore, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Delayed allocation: the write went well, and the disk says only at the end that it did not. No real disk does so on request."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StoreUnavailable, match=r"no space left|Input/output error"):
            folder_store.put(io.BytesIO(CONTENT))
    assert (list(folder_store.list()), list(folder_store.uploads())) == ([], [])


@pytest.mark.parametrize("act", ["put(Slow())", "append('u', 0, Slow())"])
def test_a_killed_process_leaves_no_blob_and_what_it_left_is_listed(folder_store: FolderStore, act: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", PUT_SLOWLY.replace("{act}", act), str(folder_store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout
        assert child.stdout.readline() == b"half way\n"
        child.send_signal(signal.SIGKILL)
    assert list(folder_store.list()) == []
    (left,) = folder_store.uploads()
    assert left.size == 4 * MEGABYTE
    folder_store.abandon(left.id)
    assert list(folder_store.uploads()) == []


def test_a_late_sender_cannot_change_what_was_published(folder_store: FolderStore) -> None:
    """Its handle is still open on the file that became the blob."""
    content = megabytes(2)

    class Late(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == len(content):
                folder_store.finish("u", digest_of(content))
                return b"more"
            return super().read(size)

    with pytest.raises(UsageError, match="Upload u has received nothing, or is over"):
        folder_store.append("u", 0, Late(content))
    assert read(folder_store, digest_of(content)) == content


def test_a_store_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere/store")):
        with pytest.raises(StoreUnavailable, match=f"The store {path} cannot be used: .* permissions"):
            FolderStore(path)


def test_folders_are_private_and_blobs_read_only(folder_store: FolderStore) -> None:
    digest = folder_store.put(io.BytesIO(b"secret")).digest
    folder_store.append("u", 0, io.BytesIO(b"secret"))
    modes = {path: path.stat().st_mode & 0o777 for path in [folder_store.path, *folder_store.path.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o440, 0o600}
    assert modes[folder_store.place(digest)] == 0o440


@pytest.mark.needs("s3fs", "moto")
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def test_a_network_that_lies_loses_nothing(s3: S3Server, s3_store: UrlStore, tmp_path: Path, seed: int) -> None:
    """Slow-downs, resets before and after the effect, answers cut short: in the end everything is as if there had been none."""
    contents = [bytes([number]) * 100_000 for number in range(4)] + [CONTENT, megabytes(36, seed)]
    with s3.misbehaving(seed=seed, slow_down=0.2, reset=0.1, cut=0.1):
        digests = [s3_store.put(io.BytesIO(content)).digest for content in contents]
        for content, digest in zip(contents, digests, strict=True):
            fetch(s3_store, digest, tmp_path / "out")
            assert (tmp_path / "out").read_bytes() == content
        for cut in (3 * MEGABYTE, 8 * MEGABYTE):
            with pytest.raises(ConnectionResetError):
                s3_store.append("u", s3_store.offset("u"), Breaking(CONTENT[s3_store.offset("u") : cut]))
        s3_store.append("u", s3_store.offset("u"), io.BytesIO(CONTENT[s3_store.offset("u") :]))
        s3_store.finish("u", DIGEST)
        assert s3_store.delete(digests[0]) is True
    assert {blob.digest for blob in s3_store.list()} == {digest_of(content) for content in contents[1:]}
    assert list(s3_store.uploads()) == []


@pytest.mark.needs("s3fs", "moto")
def test_an_object_store_that_never_answers_well_is_unavailable(s3: S3Server, s3_store: UrlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.stores.retrying._PAUSES", ())
    with s3.misbehaving(slow_down=1.0), pytest.raises(StoreUnavailable, match=r"The store s3://.* does not answer as it should: .*reduce your request rate"):
        s3_store.put(io.BytesIO(b"x"))
    assert list(s3_store.list()) == []

"""What every store does, whatever it is made of: a class of tests takes a `store` fixture and inherits from this."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from fairlead.errors import BlobNotFound, DigestMismatch, UploadNotFound, UsageError, WrongOffset
from fairlead.stores import Store, check_store, fetch

MEGABYTE = 1 << 20
WRONG = ["", "abc", "A" * 64, "0" * 63, "0" * 65, "../" + "0" * 61, "0" * 64 + "\n", "sha256:" + "0" * 57]


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def megabytes(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count * MEGABYTE)


def read(store: Store, digest: str) -> bytes:
    with store.open(digest) as stream:
        return stream.read()


class Breaking(io.BytesIO):
    """Gives some bytes, in small pieces as a network does, and breaks where others end."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(min(size or 0, 60_000))
        if not piece:
            raise ConnectionResetError("the other side is gone")
        return piece


class StoreContract:
    """Inherit, with a fixture `store` that is new and empty."""

    def test_what_was_put_is_read_from_any_offset(self, store: Store) -> None:
        stored = store.put(io.BytesIO(b"0123456789"))
        assert (stored.digest, stored.size) == (digest_of(b"0123456789"), 10)
        assert store.size(stored.digest) == 10
        for offset in (0, 1, 9, 10, 11):
            with store.open(stored.digest, offset) as stream:
                assert stream.read() == b"0123456789"[offset:]

    def test_nothing_at_all_is_a_blob_too(self, store: Store) -> None:
        stored = store.put(io.BytesIO(b""))
        assert (stored.size, store.size(stored.digest)) == (0, 0)
        assert read(store, stored.digest) == b""

    def test_a_large_blob_is_read_in_pieces_and_whole(self, store: Store) -> None:
        content = megabytes(20)
        stored = store.put(io.BytesIO(content), expect=digest_of(content))
        with store.open(stored.digest) as stream:
            assert b"".join(iter(lambda: stream.read(777_777), b"")) == content
        with store.open(stored.digest, 19 * MEGABYTE + 5) as stream:
            assert stream.read() == content[19 * MEGABYTE + 5 :]

    def test_the_same_twice_is_kept_once_and_counts_as_put_again(self, store: Store) -> None:
        first = store.put(io.BytesIO(b"same"))
        before = next(store.list()).modified
        assert store.put(io.BytesIO(b"same")) == first
        (listed,) = store.list()
        assert (listed.digest, listed.size) == (first.digest, 4)
        assert listed.modified >= before

    @pytest.mark.parametrize("size", [3, 9 * MEGABYTE], ids=["small", "large"])
    def test_other_bytes_than_announced_leave_nothing(self, store: Store, size: int) -> None:
        content, announced = bytes(size), digest_of(b"other")
        with pytest.raises(DigestMismatch, match=f"{digest_of(content)} arrived where {announced}"):
            store.put(io.BytesIO(content), expect=announced)
        assert store.size(announced) is None
        assert (list(store.list()), list(store.uploads())) == ([], [])

    @pytest.mark.parametrize("size", [3, 9 * MEGABYTE], ids=["small", "large"])
    def test_a_stream_that_breaks_leaves_nothing(self, store: Store, size: int) -> None:
        with pytest.raises(ConnectionResetError):
            store.put(Breaking(bytes(size)))
        assert (list(store.list()), list(store.uploads())) == ([], [])

    def test_what_is_not_there_is_said_so(self, store: Store) -> None:
        absent = digest_of(b"absent")
        assert store.size(absent) is None
        with pytest.raises(BlobNotFound, match=absent):
            store.open(absent)

    @pytest.mark.parametrize("digest", WRONG)
    def test_what_is_no_digest_reaches_no_path(self, store: Store, digest: str) -> None:
        for act in (store.open, store.size, store.delete, lambda one: store.put(io.BytesIO(b""), expect=one), lambda one: store.finish("u", one)):
            with pytest.raises(UsageError, match="no digest"):
                act(digest)

    @pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", ".hidden", "a" * 65, "a\n", "-"])
    def test_what_is_no_upload_reaches_no_path(self, store: Store, name: str) -> None:
        for act in (store.offset, store.abandon, lambda one: store.append(one, 0, io.BytesIO(b"x")), lambda one: store.finish(one, digest_of(b"x"))):
            with pytest.raises(UsageError, match="no name for an upload"):
                act(name)

    def test_blobs_are_listed_in_order_and_by_prefix(self, store: Store) -> None:
        begun = datetime.now(UTC) - timedelta(seconds=5)
        digests = sorted(store.put(io.BytesIO(bytes([number]))).digest for number in range(40))
        listed = list(store.list())
        assert [blob.digest for blob in listed] == digests
        assert all(blob.size == 1 and blob.modified > begun for blob in listed)
        for length in (1, 2, 3, 64):
            prefix = digests[7][:length]
            assert [blob.digest for blob in store.list(prefix)] == [digest for digest in digests if digest.startswith(prefix)]
        with pytest.raises(UsageError, match="begins no digest"):
            list(store.list("../"))

    def test_what_is_deleted_is_gone_and_gone_is_fine(self, store: Store) -> None:
        kept, gone = (store.put(io.BytesIO(content)).digest for content in (b"kept", b"gone"))
        assert store.delete(gone) is True
        assert store.delete(gone) is False
        assert [blob.digest for blob in store.list()] == [kept]

    def test_what_was_put_again_since_is_not_deleted(self, store: Store) -> None:
        digest = store.put(io.BytesIO(b"content")).digest
        (blob,) = store.list()
        assert store.delete(digest, if_older_than=blob.modified) is False
        assert store.size(digest) == 7
        assert store.delete(digest, if_older_than=blob.modified + timedelta(seconds=1)) is True

    def test_an_upload_arrives_piece_by_piece(self, store: Store) -> None:
        assert store.offset("u-1") == 0
        assert store.append("u-1", 0, io.BytesIO(b"abc")) == 3
        assert store.append("u-1", 3, io.BytesIO(b"")) == 3
        assert store.append("u-1", 3, io.BytesIO(b"defg")) == store.offset("u-1") == 7
        assert store.size(digest_of(b"abcdefg")) is None
        assert store.finish("u-1", digest_of(b"abcdefg")).size == 7
        assert read(store, digest_of(b"abcdefg")) == b"abcdefg"
        assert (store.offset("u-1"), list(store.uploads())) == (0, [])

    def test_an_upload_that_is_cut_at_every_megabyte_goes_on(self, store: Store) -> None:
        content = megabytes(12, seed=2)
        arrived = 0
        for cut in range(1, 12):
            with pytest.raises(ConnectionResetError):
                store.append("cut", arrived, Breaking(content[arrived : cut * MEGABYTE]))
            arrived = store.offset("cut")
            assert (cut - 1) * MEGABYTE < arrived <= cut * MEGABYTE
        assert store.append("cut", arrived, io.BytesIO(content[arrived:])) == len(content)
        assert store.finish("cut", digest_of(content)).size == len(content)
        with store.open(digest_of(content)) as stream:
            assert stream.read() == content

    def test_a_wrong_offset_is_refused_with_the_right_one(self, store: Store) -> None:
        for offset in (1, 10**12):
            with pytest.raises(WrongOffset) as refused:
                store.append("u", offset, io.BytesIO(b"x"))
            assert refused.value.facts["offset"] == 0
        store.append("u", 0, io.BytesIO(b"abc"))
        for offset in (0, 2, 4):
            with pytest.raises(WrongOffset, match=f"at byte 3, not at {offset}") as refused:
                store.append("u", offset, io.BytesIO(b"x"))
            assert refused.value.facts["offset"] == 3
        assert store.offset("u") == 3

    def test_an_upload_of_other_bytes_is_over(self, store: Store) -> None:
        store.append("u", 0, io.BytesIO(b"abc"))
        with pytest.raises(DigestMismatch):
            store.finish("u", digest_of(b"other"))
        assert (store.offset("u"), list(store.uploads()), list(store.list())) == (0, [], [])

    def test_an_upload_that_never_began_ends_only_as_nothing(self, store: Store) -> None:
        store.put(io.BytesIO(b"another's"))
        with pytest.raises(UploadNotFound):
            store.finish("u", digest_of(b"another's"))
        assert store.finish("u", digest_of(b"")).size == 0

    def test_an_abandoned_upload_is_forgotten(self, store: Store) -> None:
        store.append("u", 0, io.BytesIO(b"abc"))
        store.abandon("u")
        store.abandon("u")
        assert (store.offset("u"), list(store.uploads())) == (0, [])
        assert store.append("u", 0, io.BytesIO(b"new")) == 3

    def test_uploads_are_listed_with_size_and_age(self, store: Store) -> None:
        begun = datetime.now(UTC) - timedelta(seconds=5)
        for name, content in (("a", b"12"), ("a-b", b"345"), ("c", b"6")):
            store.append(name, 0, io.BytesIO(content))
        store.append("a", 2, io.BytesIO(b"78"))
        assert {upload.id: upload.size for upload in store.uploads()} == {"a": 4, "a-b": 3, "c": 1}
        assert all(begun < upload.modified < datetime.now(UTC) + timedelta(seconds=5) for upload in store.uploads())

    def test_many_writers_of_the_same_and_of_others_lose_nothing(self, store: Store) -> None:
        contents = [bytes([number % 4]) * 100_000 for number in range(24)]
        with ThreadPoolExecutor(8) as pool:
            stored = list(pool.map(lambda content: store.put(io.BytesIO(content)), contents))
        assert {one.digest for one in stored} == {blob.digest for blob in store.list()} == {digest_of(content) for content in contents}

    def test_two_senders_of_one_upload_make_one_blob(self, store: Store) -> None:
        """A client came back while the server still read from its former connection."""
        content = megabytes(3, seed=3)
        both = threading.Barrier(2)

        def send() -> None:
            both.wait()
            try:
                store.append("u", 0, io.BytesIO(content))
            except WrongOffset:
                return

        with ThreadPoolExecutor(2) as pool:
            for sent in [pool.submit(send) for _ in range(2)]:
                sent.result()
        arrived = store.offset("u")
        store.append("u", arrived, io.BytesIO(content[arrived:]))
        assert store.finish("u", digest_of(content)).size == len(content)

    def test_fetch_writes_the_file_and_goes_on_where_it_was_cut(self, store: Store, tmp_path: Path) -> None:
        content = megabytes(3, seed=4)
        digest = store.put(io.BytesIO(content)).digest
        asked: list[int] = []
        told: list[int] = []

        class Cut:
            def open(self, digest: str, offset: int = 0) -> BinaryIO:
                asked.append(offset)
                return Breaking(content[offset : 2 * MEGABYTE]) if len(asked) == 1 else store.open(digest, offset)

        with pytest.raises(ConnectionResetError):
            fetch(Cut(), digest, tmp_path / "model")
        assert not (tmp_path / "model").exists()
        fetch(Cut(), digest, tmp_path / "model", on_progress=told.append)
        assert (tmp_path / "model").read_bytes() == content
        assert asked[0] == 0
        assert MEGABYTE <= asked[1] <= 2 * MEGABYTE
        assert sum(told) == len(content)
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model"]

    def test_fetch_of_what_is_not_there_leaves_nothing(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(BlobNotFound):
            fetch(store, digest_of(b"absent"), tmp_path / "out")
        assert not [path for path in tmp_path.iterdir() if path.is_file()]

    def test_a_store_is_usable(self, store: Store) -> None:
        check_store(store)
        assert list(store.list()) == []

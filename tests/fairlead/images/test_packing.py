"""Layers byte by byte: what tar and gzip of the standard library and of the system read in them; and what is kept between builds."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.errors import DigestMismatch
from fairlead.images.kept import Kept, key_of
from fairlead.images.packing import BLOCK, pack, unpacked
from fairlead.images.streams import IteratorStream
from fairlead.images.tar_writing import END, Entry, archive_of, folders_above


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_members_are_one_stream_to_everybody(size: int, tmp_path: Path) -> None:
    content = os.urandom(1000) * (size // 1000 + 1)
    raw = io.BytesIO()
    packed = pack(iter([content[:size]]), raw)
    assert gzip.decompress(raw.getvalue()) == content[:size]
    assert b"".join(unpacked(io.BytesIO(raw.getvalue()))) == content[:size]
    assert (packed.size, packed.digest) == (len(raw.getvalue()), hashlib.sha256(raw.getvalue()).hexdigest())
    assert (packed.tar_size, packed.tar_digest) == (size, hashlib.sha256(content[:size]).hexdigest())
    (tmp_path / "x.gz").write_bytes(raw.getvalue())
    if size:
        assert subprocess.run(["gzip", "-dc", tmp_path / "x.gz"], capture_output=True, check=True).stdout == content[:size]


def test_the_size_of_what_comes_in_does_not_matter() -> None:
    content = os.urandom(300_000) * 30
    steps = (1 << 12, 1 << 20, len(content))
    packed = [pack((content[at : at + step] for at in range(0, len(content), step)), io.BytesIO()) for step in steps]
    assert packed[0] == packed[1] == packed[2]


@pytest.mark.parametrize("cut", [1, 9, 200])
def test_a_cut_stream_is_noticed(cut: int) -> None:
    raw = io.BytesIO()
    pack(iter([os.urandom(1000)]), raw)
    with pytest.raises((EOFError, zlib.error)):
        list(unpacked(io.BytesIO(raw.getvalue()[:-cut])))


def test_padding_after_the_stream_is_no_fault() -> None:
    raw = io.BytesIO()
    pack(iter([b"content"]), raw)
    assert b"".join(unpacked(io.BytesIO(raw.getvalue() + bytes(512)))) == b"content"


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=120).filter(lambda name: name not in (".", ".."))


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=2000), max_size=8), st.integers(0, 1 << 33))
def test_every_name_and_content_comes_back(files: dict[str, bytes], created: int) -> None:
    raw = b"".join(archive_of([Entry(path=path, content=content) for path, content in files.items()], created)) + END
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        found = {member.name: (stream.read(), member.mtime) for member in archive if (stream := archive.extractfile(member)) is not None}
    assert found == {path: (content, created) for path, content in files.items()}


def test_modes_owners_and_links_are_normal(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("x")
    (tmp_path / "run.sh").chmod(0o600)
    entries = [Entry(path="a"), Entry(path="a/run.sh", file=tmp_path / "run.sh", executable=True), Entry(path="a/b", content=b"1"), Entry(path="a/c", link="b")]
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive_of(entries, 7)) + END)) as archive:
        said = [(each.name, each.mode, each.uid, each.mtime, each.linkname) for each in archive]
    assert said == [("a", 0o755, 0, 7, ""), ("a/run.sh", 0o755, 0, 7, ""), ("a/b", 0o644, 0, 7, ""), ("a/c", 0o777, 0, 7, "b")]


def test_folders_come_before_what_is_in_them() -> None:
    assert folders_above(["a/b/c", "a-b/c", "top"]) == ["a", "a-b", "a/b"]


def test_a_file_that_is_not_the_announced_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"other")
    entry = Entry(path="model", file=tmp_path / "model", sha256=hashlib.sha256(b"right").hexdigest())
    with pytest.raises(DigestMismatch, match="is not what it was when it was bundled"):
        list(archive_of([entry], 0))


@given(st.lists(st.binary(max_size=20), max_size=8), st.lists(st.integers(-1, 30), max_size=20))
def test_a_stream_gives_each_byte_once(pieces: list[bytes], sizes: list[int]) -> None:
    stream = IteratorStream(iter(pieces))
    read = b"".join(stream.read(size) for size in sizes) + stream.read()
    assert read == b"".join(pieces)


def test_what_is_kept_is_trimmed_from_the_longest_unused(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    keys = [key_of({"part": number}) for number in range(3)]
    for number, key in enumerate(keys):
        kept.put_part(key, lambda out: out.write(bytes(1000)))
        for path in (tmp_path / "parts").glob(f"{key}*"):
            os.utime(path, (number, number))
    with kept.open_part(keys[0]):
        pass  # used again
    (tmp_path / ".work-killed").mkdir()
    removed = kept.trim(2100)
    assert removed >= 1000
    assert [kept.has_part(key) for key in keys] == [True, False, True]
    assert not (tmp_path / ".work-killed").exists()


def test_what_was_not_used_for_long_is_forgotten(tmp_path: Path) -> None:
    kept, old, new = Kept(tmp_path / "cache"), key_of({"part": 0}), key_of({"part": 1})
    assert kept.forget(60) == 0
    for key in (old, new):
        kept.put_part(key, lambda out: out.write(bytes(1000)))
    for path in (kept.folder / "parts").glob(f"{old}*"):
        os.utime(path, (0, 0))
    planned = kept.forget(60, dry_run=True)
    assert (planned >= 1000, kept.open_part(new).close(), (kept.folder / "parts" / old).exists()) == (True, None, True)
    assert kept.forget(60) == planned
    assert [kept.has_part(key) for key in (old, new)] == [False, True]


def test_work_in_progress_is_not_trimmed(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    with kept.room() as room:
        (room / "layer").write_bytes(b"1")
        kept.trim(0)
        assert (room / "layer").is_file()
    assert not room.exists()


def test_facts_that_were_cut_short_are_no_facts(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.remember("layers", "a", {"digest": "1"})
    assert kept.facts("layers", "a") == {"digest": "1"}
    (tmp_path / "layers" / "a.json").write_text('{"dig')
    assert kept.facts("layers", "a") is None

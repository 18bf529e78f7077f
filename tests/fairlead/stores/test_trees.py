"""Folders as trees: what counts, what is refused, and how a tree becomes a folder again."""

from __future__ import annotations

import io
import json
import os
import socket
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pytest
from fairlead_scoring.bundle import canonical
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import BlobDamaged, BlobNotFound, Conflict, InvalidTree, UsageError
from fairlead.stores import FolderStore, Store, Tree, TreeFile, lay_down, parse, tree_of
from fairlead.testing import MemoryStore
from tests.fairlead.stores.contract import Breaking, digest_of

MODEL = b"weights" * 100_000
S = TypeVar("S", bound=Store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of several files, one of them executable, one of them empty, one with a name that is not ASCII."""
    top = tmp_path / "model"
    (top / "code" / "deep").mkdir(parents=True)
    (top / "empty folder").mkdir()
    (top / "weights.bin").write_bytes(MODEL)
    (top / "code" / "run.sh").write_text("#!/bin/sh\n")
    (top / "code" / "run.sh").chmod(0o744)
    (top / "code" / "deep" / "nothing").touch()
    (top / "grüße 你好.txt").write_text("hi")
    return top


@pytest.fixture
def store(folder: Path) -> Store:
    return filled(MemoryStore(), folder)


def filled(store: S, folder: Path) -> S:
    for file in tree_of(folder).files:
        with (folder / file.path).open("rb") as stream:
            store.put(stream, expect=file.sha256)
    return store


def laid(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and permissions of every file."""
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_its_files_in_order(folder: Path) -> None:
    told: list[int] = []
    tree = tree_of(folder, told.append)
    assert [file.path for file in tree.files] == ["code/deep/nothing", "code/run.sh", "grüße 你好.txt", "weights.bin"]
    assert [file.executable for file in tree.files] == [False, True, False, False]
    assert tree.files[3] == TreeFile("weights.bin", len(MODEL), digest_of(MODEL))
    assert tree.size == sum(told) == len(MODEL) + 12
    assert tree.blobs[digest_of(MODEL)] == len(MODEL)
    assert tree.digest == digest_of(tree.to_bytes())


def test_what_does_not_count_changes_no_digest(folder: Path) -> None:
    before = tree_of(folder).digest
    os.utime(folder / "weights.bin", (1, 1))
    (folder / "weights.bin").chmod(0o600)
    (folder / "another empty one").mkdir()
    assert tree_of(folder).digest == before
    (folder / "weights.bin").chmod(0o700)
    assert tree_of(folder).digest != before


def test_a_file_is_a_tree_under_its_name(folder: Path) -> None:
    tree = tree_of(folder / "weights.bin")
    assert [file.path for file in tree.files] == ["weights.bin"]


def test_links_that_stay_inside_are_what_they_lead_to(folder: Path) -> None:
    (folder / "latest.bin").symlink_to("weights.bin")
    (folder / "scripts").symlink_to("code", target_is_directory=True)
    tree = tree_of(folder)
    assert {file.path: file.sha256 for file in tree.files}["latest.bin"] == digest_of(MODEL)
    assert "scripts/run.sh" in [file.path for file in tree.files]
    (folder.parent / "alias").symlink_to(folder)
    assert tree_of(folder.parent / "alias") == tree


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


UNUSUAL: list[tuple[str, Callable[[Path], object], str]] = [
    ("x", lambda path: path.symlink_to("/etc/passwd"), "x is a link that leads out of .*model. Copy"),
    ("x", lambda path: path.symlink_to("../../elsewhere"), "x is a link that leads nowhere"),
    ("x", lambda path: path.symlink_to("x"), "x is a link that leads nowhere"),
    ("code/x", lambda path: path.symlink_to(".."), "x is a link to a folder that it lies in"),
    ("x", lambda path: path.symlink_to("/dev/zero"), "x is a link that leads out"),
    ("x", make_pipe, "x is a named pipe"),
    ("x", make_socket, "x is a socket"),
    ("x\ny", lambda path: path.touch(), r"control character"),
    ("x\x85", lambda path: path.touch(), r"control character"),
    ("x\udcff", lambda path: path.touch(), "is not UTF-8"),
    ("a\\b", lambda path: path.touch(), "does not stay inside"),
    ("WEIGHTS.bin", lambda path: path.touch(), "'WEIGHTS.bin' and 'weights.bin' are one name where case does not count"),
    ("Code", lambda path: path.touch(), "'Code' and 'code' are one name"),
    (unicodedata.normalize("NFD", "grüße 你好.txt"), lambda path: path.touch(), "are one name"),
]


@pytest.mark.parametrize(("name", "make", "sentence"), UNUSUAL, ids=range(len(UNUSUAL)))
def test_what_is_no_file_or_no_name_everywhere_is_refused(folder: Path, name: str, make: Callable[[Path], object], sentence: str) -> None:
    make(folder / name)
    with pytest.raises(UsageError, match=sentence):
        tree_of(folder)


def test_places_without_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loose").symlink_to("nowhere")
    for path, sentence in ((tmp_path / "absent", "is not there"), (tmp_path / "loose", "leads nowhere"), (Path("/dev/null"), "a device")):
        with pytest.raises(UsageError, match=sentence):
            tree_of(path)
    (tmp_path / "loose").unlink()
    with pytest.raises(UsageError, match="holds no files"):
        tree_of(tmp_path)


@given(st.lists(st.text(alphabet="abcxyz/._-", min_size=1, max_size=12), max_size=6))
def test_every_tree_is_read_back_or_refused(paths: list[str]) -> None:
    """No list of paths gives a tree whose bytes mean another one."""
    files = tuple(TreeFile(path, 1, digest_of(b"x")) for path in sorted(paths))
    try:
        tree = Tree(files)
    except InvalidTree:
        return
    assert parse(tree.to_bytes()) == tree
    assert all(part not in {"", ".", ".."} for path in paths for part in path.split("/"))


def said(*paths: str, **other: Any) -> dict[str, Any]:
    return {"tree_version": 1, "files": [{"path": path, "size": 1, "sha256": "0" * 64, "exec": False} | other for path in paths]}


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a//b", "./a", "", "C:x", "a\\b", "a\0b", "a\nb", "x" * 256, "a/" * 2000 + "b", "\ud800"])
def test_a_hostile_path_is_no_tree(path: str) -> None:
    with pytest.raises(InvalidTree, match="The tree: "):
        parse(json.dumps(said(path)).encode())


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        (said("a", "a"), "'a' is listed twice"),
        (said("a", "a/b"), "'a' is listed as a file and as a folder"),
        (said("a", "A"), "one name where case does not count"),
        (said("b", "a"), "in order of their paths"),
        (said("a", size=-1), "'a' has a size"),
        (said("a", size=1 << 63), "'a' has a size"),
        (said("a", size=True), "'a' has a size"),
        (said("a", sha256="A" * 64), "'a' has a size, digest"),
        (said("a", exec=0), "'a' has a size, digest or executable bit"),
        (said("a", extra=1), "needs path, size, sha256 and exec"),
        ({"tree_version": 1, "files": ["a"]}, "needs path, size"),
        ({"tree_version": 1, "files": {}}, "no list of files"),
        ({"tree_version": 2, "files": []}, "has version 2"),
        ({"tree_version": True, "files": []}, "has no tree_version"),
        ([], "has no tree_version"),
        (said("a") | {"more": 1}, "not written as Fairlead writes it"),
    ],
)
def test_a_manifest_that_is_no_tree_is_refused(manifest: Any, sentence: str) -> None:
    with pytest.raises(InvalidTree, match=sentence):
        parse(canonical(manifest))


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'{"files":[],"tree_version":1,"tree_version":1}', b'{"tree_version":1,"files":[]}'])
def test_bytes_that_are_no_tree_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidTree, match=r"no tree|not written as Fairlead"):
        parse(content)


def test_a_tree_becomes_the_folder_again(folder: Path, store: Store, tmp_path: Path) -> None:
    told: list[int] = []
    tree = parse(tree_of(folder).to_bytes())
    lay_down(store, tree, tmp_path / "down" / "here", on_progress=told.append)
    assert tree_of(tmp_path / "down" / "here") == tree
    assert sum(told) == tree.size
    assert laid(tmp_path / "down" / "here") == {
        "weights.bin": (MODEL, 0o644),
        "code/run.sh": (b"#!/bin/sh\n", 0o755),
        "code/deep/nothing": (b"", 0o644),
        "grüße 你好.txt": (b"hi", 0o644),
    }
    lay_down(MemoryStore(), tree, tmp_path / "down" / "here")  # it is there: nothing is fetched
    assert [path.name for path in (tmp_path / "down").iterdir()] == ["here"]


def test_a_folder_with_anything_else_in_it_stays_as_it_is(folder: Path, store: Store, tmp_path: Path) -> None:
    tree = tree_of(folder)
    (folder / "more").touch()
    before = laid(folder)
    for place in (folder, folder / "more"):
        with pytest.raises(Conflict, match="is there already, with other contents"):
            lay_down(store, tree, place)
    assert laid(folder) == before
    (tmp_path / "empty").mkdir()
    lay_down(store, tree, tmp_path / "empty")
    assert tree_of(tmp_path / "empty") == tree


def test_a_blob_that_is_gone_or_damaged_leaves_no_folder(folder: Path, tmp_path: Path) -> None:
    store = filled(FolderStore(tmp_path / "store"), folder)
    tree = tree_of(folder)
    place = store.place(digest_of(MODEL))
    place.chmod(0o600)
    place.write_bytes(b"W" + MODEL[1:])
    for link in (False, True):
        with pytest.raises(BlobDamaged, match=digest_of(MODEL)):
            lay_down(store, tree, tmp_path / "down" / "here", link=link)
    place.unlink()
    with pytest.raises(BlobNotFound, match=digest_of(MODEL)):
        lay_down(store, tree, tmp_path / "down" / "here")
    assert not list((tmp_path / "down").iterdir())


def test_a_broken_attempt_is_continued(folder: Path, store: Store, tmp_path: Path) -> None:
    tree = tree_of(folder)
    asked: list[tuple[str, int]] = []

    class Cut:
        def open(self, digest: str, offset: int = 0) -> BinaryIO:
            asked.append((digest, offset))
            if len(asked) == 4:
                return Breaking(MODEL[offset : len(MODEL) // 2])
            return store.open(digest, offset)

    with pytest.raises(ConnectionResetError):
        lay_down(Cut(), tree, tmp_path / "down" / "here", resume=True)
    assert not (tmp_path / "down" / "here").exists()
    lay_down(Cut(), tree, tmp_path / "down" / "here", resume=True)
    assert tree_of(tmp_path / "down" / "here") == tree
    assert [digest for digest, _ in asked] == [*(file.sha256 for file in tree.files), digest_of(MODEL)]
    assert asked[-1][1] >= len(MODEL) // 2 - 60_000
    assert [path.name for path in (tmp_path / "down").iterdir()] == ["here"]


def test_a_tree_with_the_name_of_a_file_on_its_way_is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    digest = store.put(io.BytesIO(b"content")).digest
    tree = Tree((TreeFile(f".model.{digest[:16]}.part", 7, digest), TreeFile("model", 7, digest)))
    with pytest.raises(InvalidTree, match=r"rename those that end in \.part"):
        lay_down(store, tree, tmp_path / "down" / "here")
    assert not list((tmp_path / "down").iterdir())


def test_linked_files_are_the_stores_own_and_read_only(folder: Path, tmp_path: Path) -> None:
    store = filled(FolderStore(tmp_path / "store"), folder)
    lay_down(store, tree_of(folder), tmp_path / "linked", link=True)
    assert tree_of(tmp_path / "linked") == tree_of(folder)
    weights, script = (tmp_path / "linked" / name for name in ("weights.bin", "code/run.sh"))
    assert weights.samefile(store.place(digest_of(MODEL)))
    assert not weights.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    assert script.stat().st_nlink == 1

"""A folder as one blob: which files it holds, by path, size, digest and executable bit.

The bytes are canonical JSON, so the same folder has the same digest everywhere; owners, times and empty folders do not count.
A tree that comes from outside is hostile until `parse` let it through: its paths become files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_scoring.bundle import BundledFile, BundleError, canonical, refuse_strange_paths

from fairlead.errors import Conflict, InvalidTree, UsageError
from fairlead.stores.durable import flush_folder, try_lock
from fairlead.stores.fetching import fetch
from fairlead.stores.folder import FolderStore
from fairlead.stores.store import CHUNK, Readable
from fairlead.stores.walking import files_below, refuse_unusual

TREE_VERSION = 1
LARGEST_MANIFEST = 64 << 20  # bytes; some 400,000 files
TreeFile = BundledFile
Progress = Callable[[int], None]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 255  # bytes, on every file system that matters
_LONGEST_PATH = 3000
_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class Tree:
    """Files in order of their paths. Raises InvalidTree when they could not lie in one folder on every system."""

    files: tuple[TreeFile, ...]

    def __post_init__(self) -> None:
        _refuse_strange([file.path for file in self.files])
        if [file.path for file in self.files] != sorted(file.path for file in self.files):
            raise InvalidTree("The files of a tree are listed in order of their paths, and these are not.")
        if len({(file.sha256, file.size) for file in self.files}) != len(self.blobs):
            raise InvalidTree("The tree: one digest is listed with two sizes.")

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def blobs(self) -> dict[str, int]:
        """Digest and size of each content, once."""
        return {file.sha256: file.size for file in self.files}

    def to_bytes(self) -> bytes:
        return canonical({"tree_version": TREE_VERSION, "files": [file.to_json() for file in self.files]})


def tree_of(path: Path, on_progress: Progress | None = None) -> Tree:
    """What lies at `path`: the files of a folder, or one file under its name. Reads every byte; on_progress is told how many came more.

    Raises UsageError for links that lead out, devices, sockets, pipes, and names that cannot be written on every system.
    """
    if not path.exists():
        raise UsageError(f"{path} is not there." if not path.is_symlink() else f"{path} is a link that leads nowhere.")
    found = list(files_below(path)) if path.is_dir() else [(path.name or path.resolve().name, path)]
    if not found:
        raise UsageError(f"{path} holds no files.")
    try:
        _refuse_strange([name for name, _ in found])
    except InvalidTree as fault:
        raise UsageError(f"{path}: {fault}") from fault
    return Tree(tuple(_read(name, place, on_progress) for name, place in sorted(found)))


def parse(content: bytes) -> Tree:
    """The tree whose bytes these are. Raises InvalidTree for anything that `Tree.to_bytes` would not have written."""
    if len(content) > LARGEST_MANIFEST:
        raise InvalidTree(f"A tree of {len(content)} bytes is larger than {LARGEST_MANIFEST}; split the folder, or pack it into an archive.")
    try:
        said = json.loads(content.decode())
    except (ValueError, RecursionError) as fault:
        raise InvalidTree(f"This is no tree: it is not JSON ({fault}).") from fault
    if not isinstance(said, dict) or type(said.get("tree_version")) is not int or not isinstance(said.get("files"), list):
        raise InvalidTree("This is no tree: it has no tree_version, or no list of files.")
    if said["tree_version"] != TREE_VERSION:
        raise InvalidTree(f"This tree has version {said['tree_version']}, and this Fairlead reads {TREE_VERSION}; use a newer one.")
    tree = Tree(tuple(_file_of(each) for each in said["files"]))
    if tree.to_bytes() != content:
        raise InvalidTree("This tree is not written as Fairlead writes it, so its digest would not be the folder's; upload the folder again.")
    return tree


def lay_down(store: Readable, tree: Tree, folder: Path, *, resume: bool = False, link: bool = False, on_progress: Progress | None = None) -> None:
    """Makes the folder with the tree's files, each checked by its digest; it is there whole or not at all.

    resume: what a broken attempt brought is kept beside the folder, and used by the next.
    link: files that are not executable may share the store's bytes, read-only, when the store is a folder on the same disk.
    A folder that holds exactly this already is fine. Raises Conflict when it holds anything else, BlobNotFound, BlobDamaged, StoreFull.
    """
    folder = folder.absolute()
    if _is_taken(folder):
        _refuse_other(folder, tree)
        return
    with _staging(folder, tree, resume=resume) as staging:
        for file in tree.files:
            _lay_file(store, file, staging / file.path, link=link, on_progress=on_progress)
        _check_complete(staging, tree)
        _publish(staging, folder, tree)


def _refuse_strange(paths: Sequence[str]) -> None:
    for path in paths:
        if not path.isascii() and any("\ud800" <= sign <= "\udfff" for sign in path):
            raise InvalidTree(f"The tree: the name {path!r} is not UTF-8; rename the file.")
    try:
        refuse_strange_paths(paths, "The tree")
    except BundleError as fault:
        raise InvalidTree(str(fault)) from fault
    for path in paths:
        if _CONTROL.search(path):
            raise InvalidTree(f"The tree: the name {path!r} holds a control character; rename the file.")
        if len(path.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in path.split("/")):
            raise InvalidTree(f"The tree: the name {path[:80]!r}... is too long; {_LONGEST_NAME} bytes per name and {_LONGEST_PATH} per path are the most.")
    _refuse_alike(paths)


def _refuse_alike(paths: Sequence[str]) -> None:
    """Names that are one on a file system that ignores case or composes accents (macOS, Windows). Folders count, too."""
    places = {"/".join(parts[: count + 1]) for path in paths for parts in [path.split("/")] for count in range(len(parts))}
    alike = Counter(_folded(place) for place in places)
    twice = next((sorted(place for place in places if _folded(place) == key) for key, count in alike.items() if count > 1), None)
    if twice:
        raise InvalidTree(f"The tree: {twice[0]!r} and {twice[1]!r} are one name where case does not count; rename one.")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _read(name: str, place: Path, on_progress: Progress | None) -> TreeFile:
    refuse_unusual(place)
    hasher, size = hashlib.sha256(), 0
    try:
        with place.open("rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            while chunk := stream.read(CHUNK):
                hasher.update(chunk)
                size += len(chunk)
                if on_progress:
                    on_progress(len(chunk))
            after = os.fstat(stream.fileno())
    except OSError as fault:
        raise UsageError(f"{place} cannot be read ({fault.strerror}).") from fault
    if size != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise UsageError(f"{place} changed while it was read; wait until it is written, and try again.")
    return TreeFile(name, size, hasher.hexdigest(), bool(before.st_mode & stat.S_IXUSR))


def _file_of(said: Any) -> TreeFile:
    if not isinstance(said, dict) or said.keys() != {"path", "size", "sha256", "exec"}:
        raise InvalidTree("The tree: a file needs path, size, sha256 and exec, and nothing else.")
    path, size, sha256, executable = said["path"], said["size"], said["sha256"], said["exec"]
    whole = isinstance(path, str) and type(size) is int and 0 <= size < _LARGEST and isinstance(sha256, str) and isinstance(executable, bool)
    if not whole or not _SHA256.fullmatch(sha256):
        raise InvalidTree(f"The tree: file {str(path)[:80]!r} has a size, digest or executable bit that is none.")
    return TreeFile(path, size, sha256, executable)


def _is_taken(folder: Path) -> bool:
    return os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir()))


def _refuse_other(folder: Path, tree: Tree) -> None:
    if not folder.is_dir() or tree_of(folder) != tree:
        raise Conflict(f"{folder} is there already, with other contents. Give another place, or remove it.")


@contextmanager
def _staging(folder: Path, tree: Tree, *, resume: bool) -> Iterator[Path]:
    """A private folder beside the one to be made, which goes when the block fails unless it is to be resumed."""
    staging = folder.with_name(f".{folder.name[:100]}.{tree.digest[:16] if resume else uuid.uuid4().hex}.part")
    with _making(folder):
        staging.mkdir(parents=True, exist_ok=True)
        handle = os.open(staging, os.O_RDONLY)
    try:
        if not try_lock(handle):
            raise Conflict(f"{folder} is being written by another process; wait for it.")
        yield staging
    except BaseException:
        if not resume:
            shutil.rmtree(staging, ignore_errors=True)
        raise
    finally:
        os.close(handle)


@contextmanager
def _making(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise UsageError(f"{folder} cannot be made ({fault.strerror}); give another place.") from fault


def _lay_file(store: Readable, file: TreeFile, target: Path, *, link: bool, on_progress: Progress | None) -> None:
    with _making(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and _read(file.path, target, on_progress) == file:  # from an earlier attempt
        return
    if link and not file.executable and isinstance(store, FolderStore) and _link(store, file, target, on_progress):
        return
    fetch(store, file.sha256, target, on_progress=on_progress)
    if target.stat().st_size != file.size:
        raise InvalidTree(f"The tree says that {file.path!r} has {file.size} bytes, and content {file.sha256} has {target.stat().st_size}.")
    target.chmod(0o755 if file.executable else 0o644)


def _link(store: FolderStore, file: TreeFile, target: Path, on_progress: Progress | None) -> bool:
    """Whether the store's own file could be given another name here, and is what it should be; else it is fetched, which says what is wrong."""
    try:
        os.link(store.place(file.sha256), target)
    except OSError:
        return False
    if _read(file.path, target, on_progress) == file:
        return True
    target.unlink()
    return False


def _check_complete(staging: Path, tree: Tree) -> None:
    """Also against a tree that holds the name of a file that is on its way."""
    if {name for name, _ in files_below(staging)} != {file.path for file in tree.files}:
        raise InvalidTree(f"Tree {tree.digest} names files as Fairlead names those that are not yet whole; rename those that end in .part.")
    for folder, _, _ in os.walk(staging):
        flush_folder(Path(folder))


def _publish(staging: Path, folder: Path, tree: Tree) -> None:
    try:
        staging.rename(folder)  # onto nothing, or onto an empty folder
    except OSError as fault:
        if not _is_taken(folder):
            raise UsageError(f"{folder} cannot be made ({fault.strerror}); give another place.") from fault
        _refuse_other(folder, tree)  # somebody else was faster
        shutil.rmtree(staging, ignore_errors=True)
        return
    flush_folder(folder.parent)

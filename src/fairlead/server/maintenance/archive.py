"""The file that a backup is: a tar of plain members with a manifest at its end that holds the size and SHA-256 of each.

    tables/NAME.jsonl    one row per line
    blobs/DIGEST         content, when it is part of the backup
    data/NUMBER          file of a workspace's own datastore, when they are part of the backup
    data.json            the paths of those files
    key.json             the master key under a passphrase, when it was asked for
    manifest.json        last: a file that was cut has none

An archive comes from anywhere: nothing is unpacked by name, and nothing of it is used before all of it was read and compared.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from fairlead.errors import Conflict, DigestMismatch, UsageError
from fairlead.places import discard
from fairlead.stores.durable import flush_folder

FORMAT = 1
MANIFEST = "manifest.json"
KEY = "key.json"
DATA_INDEX = "data.json"
LARGEST_KEY = 1 << 20  # bytes
LARGEST_TEXT = 1 << 30  # bytes of manifest or index: of some millions of contents
CHUNK = 1 << 20
_LARGEST = {MANIFEST: LARGEST_TEXT, DATA_INDEX: LARGEST_TEXT, KEY: LARGEST_KEY}
_NAME = re.compile(r"tables/[a-z][a-z0-9_]{0,62}\.jsonl|blobs/[0-9a-f]{64}|data/[0-9]{10}|data\.json|key\.json|manifest\.json")


@dataclass(frozen=True, kw_only=True)
class Member:
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`schema`: the step that the tables are at. `rows`: how many each table has."""

    fairlead: str
    schema: str
    created_at: str
    database: str
    with_blobs: bool
    format: int = FORMAT
    rows: dict[str, int] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)


class Writer:
    """Writes beside the file; `finish` puts it in its place."""

    def __init__(self, stream: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by finish
        self.members: dict[str, Member] = {}

    def add(self, name: str, stream: BinaryIO, size: int) -> None:
        """Raises DigestMismatch for a blob whose bytes are not those of its name."""
        hashed = _Hashing(stream)
        described = tarfile.TarInfo(name)
        described.size, described.mode = size, 0o600
        self._tar.addfile(described, cast(BinaryIO, hashed))
        if name.startswith("blobs/") and hashed.digest != name.removeprefix("blobs/"):
            raise DigestMismatch(f"The blob {name.removeprefix('blobs/')} is damaged in the store; `fairlead server fsck --deep` shows all that are.")
        self.members[name] = Member(size=size, sha256=hashed.digest)

    def add_text(self, name: str, text: str) -> None:
        """Raises UsageError for one that nobody could read back."""
        content = text.encode()
        if len(content) > _LARGEST[name]:
            raise UsageError(
                f"{name} of this backup would have {len(content):,} bytes, and {_LARGEST[name]:,} are the most that are read back; leave contents out."
            )
        self.add(name, io.BytesIO(content), len(content))

    def finish(self, manifest: Manifest) -> None:
        self.add_text(MANIFEST, json.dumps(asdict(manifest)))
        self._tar.close()


class Reader:
    """An archive of somebody's. Raises UsageError for one that is not what we write."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def check(self) -> Manifest:
        """Reads all of it and compares every digest."""
        found: dict[str, Member] = {}
        told = b""
        for name, stream, size in self.members():
            if MANIFEST in found:
                raise self._refused("something follows its manifest")
            hashed = _Hashing(stream)
            text = self._read(hashed, keep=name == MANIFEST)
            found[name] = Member(size=size, sha256=hashed.digest)
            told = text or told
        if MANIFEST not in found:
            raise self._refused("it has no manifest at its end, so it was cut")
        del found[MANIFEST]
        manifest = self._read_manifest(told)
        self._compare(manifest, found)
        return manifest

    def members(self) -> Iterator[tuple[str, BinaryIO, int]]:
        """Each member's stream is to be read before the next is asked for."""
        self._stream.seek(0)
        seen: set[str] = set()
        try:
            with tarfile.open(fileobj=self._stream, mode="r:") as tar:
                while (each := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # else it keeps every member that it has met
                    self._refuse_strange(each, seen)
                    seen.add(each.name)
                    opened = tar.extractfile(each)
                    assert opened is not None
                    yield each.name, cast(BinaryIO, opened), each.size
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise self._refused(f"it cannot be read ({error})") from error

    def _read(self, hashed: _Hashing, *, keep: bool) -> bytes:
        kept: list[bytes] = []
        try:
            while chunk := hashed.read(CHUNK):
                kept += [chunk] if keep else []
        except (tarfile.TarError, OSError) as error:
            raise self._refused(f"it cannot be read ({error})") from error
        return b"".join(kept)

    def _refuse_strange(self, each: tarfile.TarInfo, seen: set[str]) -> None:
        shown = each.name[:80]
        if each.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or each.issparse():
            raise self._refused(f"{shown!r} in it is no plain file")
        if not _NAME.fullmatch(each.name):
            raise self._refused(f"{shown!r} in it is none of a backup's files")
        if each.name in seen:
            raise self._refused(f"{shown!r} is in it twice")
        if each.name in _LARGEST and each.size > _LARGEST[each.name]:
            raise self._refused(f"{shown!r} has {each.size} bytes")

    def _read_manifest(self, text: bytes) -> Manifest:
        try:
            said = json.loads(text)
            said["members"] = {str(name): Member(**each) for name, each in said["members"].items()}
            manifest = Manifest(**said)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._refused(f"its manifest makes no sense ({type(error).__name__})") from error
        if manifest.format != FORMAT:
            raise UsageError(f"{self._name} has the format {manifest.format}, and this Fairlead reads {FORMAT}; restore it with the one that wrote it.")
        return manifest

    def _compare(self, manifest: Manifest, found: dict[str, Member]) -> None:
        for name in sorted(found.keys() ^ manifest.members.keys()):
            raise self._refused(f"{name} {'is missing' if name in manifest.members else 'is not in its manifest'}")
        for name, each in found.items():
            if each != manifest.members[name]:
                raise self._refused(f"{name} is damaged: its bytes are not those that were written")
            if name.startswith("blobs/") and name != f"blobs/{each.sha256}":
                raise self._refused(f"{name} holds other bytes than its name says")

    def _refused(self, why: str) -> UsageError:
        return UsageError(f"{self._name} is no backup that can be restored: {why}. Nothing was changed; use another backup.")


@contextmanager
def whole_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file of the owner's alone that is there whole or not at all. Raises Conflict when there is one, UsageError when it cannot be written."""
    if path.exists() and not force:
        raise Conflict(f"{path} exists; choose another name, or replace it with --force.")
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror or error}); name a file where there is room and you may write.") from error
    finally:
        discard(beside)


class _Hashing(io.RawIOBase):
    """A stream, and the digest of what was read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._stream.read(size)
        self._hash.update(chunk)
        return chunk

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

"""Reads images that came as one tar file: what `docker save` and `podman save` write, and OCI layouts in a tar.

The archive is never unpacked; its members are found by name and read where they lie.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fairlead.errors import BlobNotFound, DigestMismatch, UsageError
from fairlead.images.base_layers import Source
from fairlead.images.documents import LARGEST, digest_of, listed, parsed
from fairlead.images.layout import PutBlob
from fairlead.images.streams import IteratorStream
from fairlead.images.tar_reading import Member, TarReader
from fairlead.images.types import LAYER

_PLAIN = "application/vnd.oci.image.layer.v1.tar"
_CHUNK = 1 << 20
_HOPS = 8


class Archive:
    """A tar file's members by name. Raises UsageError when it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, Member] = {}
        try:
            with path.open("rb") as stream:
                for member, _ in TarReader(stream.read, str(path), seek=_seeker(stream)).members(lambda _member: False):
                    self._members[member.path] = member
        except OSError as fault:
            raise UsageError(f"{path} cannot be read: {fault.strerror}.") from fault

    def has(self, name: str) -> bool:
        return name in self._members

    def document(self, name: str) -> bytes:
        """A small member's content. Raises UsageError."""
        with self.open(name) as stream:
            return stream.read(LARGEST + 1)

    def open(self, name: str) -> BinaryIO:
        """A member's content; links are followed inside the archive only. Raises UsageError."""
        member = self._file(name)
        return IteratorStream(_part(self.path, member.offset, member.size))  # type: ignore[return-value]

    def size(self, name: str) -> int | None:
        return self._file(name).size if self.has(name) else None

    def _file(self, name: str) -> Member:
        place = name
        for _ in range(_HOPS):
            member = self._members.get(place)
            if member is None:
                break
            if member.kind == "file":
                return member
            if member.kind == "link":
                place = posixpath.normpath(posixpath.join(posixpath.dirname(place), member.link))
            elif member.kind == "hardlink":
                place = posixpath.normpath(member.link)
            else:
                break
        raise UsageError(f"{self.path} names {name!r}, which is not in it. Save the image again.")


class ArchiveBlobs:
    """The blobs of an OCI layout in a tar file; nothing can be put there."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> PutBlob:  # noqa: ARG002 - the protocol's
        raise UsageError(f"{self._archive.path} is only read.")

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        name = f"blobs/sha256/{digest_of(digest)}"
        if not self._archive.has(name):
            raise BlobNotFound(f"There is no blob {digest} in {self._archive.path}; it is incomplete. Save the image again.")
        stream = self._archive.open(name)
        stream.read(offset)
        return stream

    def size(self, digest: str) -> int | None:
        return self._archive.size(f"blobs/sha256/{digest_of(digest)}")


class DockerImage:
    """The one image of a Docker archive (manifest.json, as `docker save` writes it). Raises UsageError, DigestMismatch."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        said = _only_image(archive)
        raw = archive.document(str(said.get("Config")))
        self.config = parsed(raw, "The configuration")
        self.digest = hashlib.sha256(raw).hexdigest()
        named = str(said.get("Config")).rpartition("/")[2].removesuffix(".json")
        if len(named) == 64 and named != self.digest:
            raise DigestMismatch(f"{archive.path}: the configuration is sha256:{self.digest}, not sha256:{named} as it is named. Save the image again.")
        self._layers = [str(each) for each in listed(said, "Layers")]
        tags = said.get("RepoTags")
        self.name = str(tags[0]) if isinstance(tags, list) and tags else ""

    def sources(self) -> list[Source]:
        """Lowest layer first."""
        rootfs = self.config.get("rootfs")
        diff_ids = [digest_of(each) for each in listed(rootfs if isinstance(rootfs, dict) else {}, "diff_ids")]
        if len(diff_ids) != len(self._layers):
            raise UsageError(f"{self._archive.path} has {len(self._layers)} layers and its configuration names {len(diff_ids)}. Save the image again.")
        return [self._source(name, diff_id) for name, diff_id in zip(self._layers, diff_ids, strict=True)]

    def _source(self, name: str, diff_id: str) -> Source:
        with self._archive.open(name) as stream:
            compressed = stream.read(2) == b"\x1f\x8b"
        if not compressed:
            return Source(open=lambda: self._archive.open(name), media_type=_PLAIN, diff_id=diff_id)
        with self._archive.open(name) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        return Source(open=lambda: self._archive.open(name), media_type=LAYER, diff_id=diff_id, digest=digest)


def _only_image(archive: Archive) -> dict[str, Any]:
    raw = archive.document("manifest.json")
    said = parsed(b'{"images":' + raw + b"}", "manifest.json")["images"]
    if not isinstance(said, list) or len(said) != 1 or not isinstance(said[0], dict):
        count = len(said) if isinstance(said, list) else 0
        raise UsageError(f"{archive.path} holds {count} images; a base is one. Save that one alone: docker save -o FILE NAME:TAG")
    return said[0]


def _seeker(stream: BinaryIO) -> Callable[[int], bool]:
    """Jumps over so many bytes; says whether they were there."""
    end = stream.seek(0, 2)
    stream.seek(0)
    return lambda size: stream.seek(size, 1) <= end


def _part(path: Path, offset: int, size: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(offset)
        while size and (chunk := stream.read(min(_CHUNK, size))):
            size -= len(chunk)
            yield chunk

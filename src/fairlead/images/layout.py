"""OCI image layouts: a folder, or a tar of one, with blobs by digest and an index that says where to begin.

Contract: OCI image layout specification 1.1.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fairlead.errors import BlobNotFound, Conflict, DigestMismatch
from fairlead.images.documents import INDEX_TYPES, digest_of, from_wire, read_document, to_wire
from fairlead.images.tar_writing import Entry, archive_of, header_of
from fairlead.images.types import INDEX, Blobs, Descriptor

MARKER = "oci-layout"
MARKED = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBlob:
    digest: str
    size: int


class LayoutBlobs:
    """The blobs of a layout folder, which is made if need be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / "blobs" / "sha256"

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> PutBlob:
        """Raises DigestMismatch; then nothing is kept."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        hasher, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self._blobs, prefix=".", delete=False) as out:
            try:
                while chunk := stream.read(_CHUNK):
                    hasher.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
                _refuse_mismatch(hasher.hexdigest(), expect)
                os.fchmod(out.fileno(), 0o644)
                out.flush()
                Path(out.name).rename(self._blobs / hasher.hexdigest())
            except BaseException:
                Path(out.name).unlink(missing_ok=True)
                raise
        return PutBlob(digest=hasher.hexdigest(), size=size)

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        """Raises BlobNotFound."""
        try:
            stream = (self._blobs / digest_of(digest)).open("rb")
        except OSError:
            raise BlobNotFound(f"There is no blob {digest} in the OCI layout {self.folder}; it is incomplete. Write it again.") from None
        stream.seek(offset)
        return stream

    def size(self, digest: str) -> int | None:
        try:
            return (self._blobs / digest_of(digest)).stat().st_size
        except OSError:
            return None


def write_layout(blobs: Blobs, descriptor: Descriptor, folder: Path, tag: str, referrers: Sequence[Descriptor] = ()) -> None:
    """An OCI layout that holds one image under one tag, and what refers to it. Blobs that are there already are not copied again.

    Raises Conflict when the folder is something else, DigestMismatch when a blob is damaged.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise Conflict(f"{folder} exists and is no OCI layout. Choose another folder.")
    into = LayoutBlobs(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / MARKER, MARKED)
    for part in (*reachable(blobs, descriptor), *(each for one in referrers for each in reachable(blobs, one))):
        if into.size(part.digest) != part.size:
            with blobs.open(part.digest) as stream:
                into.put(stream, expect=part.digest)
    _replace(folder / "index.json", index_document(descriptor, tag, referrers))


def write_tar(blobs: Blobs, descriptor: Descriptor, path: Path, tag: str, referrers: Sequence[Descriptor] = ()) -> None:
    """The same as one tar archive. It appears whole or not at all."""
    write_archive(layout_tar(blobs, descriptor, tag, referrers), path)


def write_archive(pieces: Iterable[bytes], path: Path) -> None:
    """What everybody may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as out:
        try:
            for piece in pieces:
                out.write(piece)
            os.fchmod(out.fileno(), 0o644)
            out.flush()
            Path(out.name).rename(path)
        except BaseException:
            Path(out.name).unlink(missing_ok=True)
            raise


def layout_tar(blobs: Blobs, descriptor: Descriptor, tag: str, referrers: Sequence[Descriptor] = ()) -> Iterator[bytes]:
    """A tar archive of the layout, the small documents first."""
    own = [Entry(path=MARKER, content=MARKED), Entry(path="index.json", content=index_document(descriptor, tag, referrers))]
    yield from archive_of([Entry(path="blobs"), Entry(path="blobs/sha256"), *own], 0)
    yield from blob_entries(blobs, [each for one in (descriptor, *referrers) for each in reachable(blobs, one)])
    yield bytes(1024)


def blob_entries(blobs: Blobs, parts: Sequence[Descriptor]) -> Iterator[bytes]:
    """Each once, as members of a tar archive. Raises DigestMismatch when what a blob holds is not what it is called."""
    for digest, size in {part.digest: part.size for part in parts}.items():
        yield header_of(Entry(path=f"blobs/sha256/{digest}"), size, 0)
        hasher = hashlib.sha256()
        with blobs.open(digest) as stream:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
                yield chunk
        _refuse_mismatch(hasher.hexdigest(), digest)
        yield bytes(-size % 512)


def reachable(blobs: Blobs, descriptor: Descriptor) -> Iterator[Descriptor]:
    """The descriptor itself, and everything that it leads to, layers last; not what it refers to."""
    yield descriptor
    said = read_document(blobs, descriptor)
    if descriptor.media_type in INDEX_TYPES:
        for each in said.get("manifests", ()):
            yield from reachable(blobs, from_wire(each))
    else:
        yield from_wire(said["config"])
        for each in said["layers"]:
            yield from_wire(each)


def index_document(descriptor: Descriptor, tag: str, referrers: Sequence[Descriptor] = ()) -> bytes:
    """index.json of a layout that holds the image under that tag, and what refers to it."""
    named = {**to_wire(descriptor), "annotations": {**descriptor.annotations, REF_NAME: tag}}
    said = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named, *(to_wire(each) for each in referrers)]}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def _replace(path: Path, content: bytes) -> None:
    """By rename: what is there may be a hard link into somebody else's layout."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.chmod(0o644)
    beside.rename(path)


def _refuse_mismatch(found: str, expect: str | None) -> None:
    if expect is not None and found != expect:
        raise DigestMismatch(f"A blob that should be sha256:{expect} is sha256:{found}; it was damaged or changed. Copy or pull the image again.")

"""Writes layers: tar archives that depend on nothing but what is in them, compressed by several threads at once.

A layer is a series of gzip members (RFC 1952, 2.2), each of at most BLOCK bytes of the archive. So parts that were packed before
can be joined without being compressed again; Docker, containerd and skopeo read such a series as one stream.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fairlead.errors import DigestMismatch

BLOCK = 4 << 20
LEVEL = 4  # of 206 MB of packages: level 1 leaves 70 MB in 2.3 s of one processor, 4 leaves 64 MB in 2.9 s, 6 leaves 61 MB in 9.3 s
COMPRESSOR = f"gzip-{LEVEL} zlib-{zlib.ZLIB_RUNTIME_VERSION} {BLOCK}"
END = bytes(1024)  # of a tar archive

_GZIP = 31  # zlib's number for a gzip header: no name, time 0
_RECORD = 512
_READ = 1 << 20
_COMPRESSED = 1 << 16  # at a time: the worst bomb makes 64 MiB of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What lies at a path of an image, which has no leading slash. Content comes from a file or is here; neither: a link, or a folder."""

    path: str
    file: Path | None = None
    content: bytes | None = None
    link: str | None = None
    executable: bool = False
    sha256: str | None = None  # which the file must have

    @property
    def is_folder(self) -> bool:
        return self.file is None and self.content is None and self.link is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """`digest`, `size`: of what was written. `tar_digest`, `tar_size`: before it was compressed."""

    digest: str
    size: int
    tar_digest: str
    tar_size: int


class Count:
    """Digest and size of what went by."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._hasher.hexdigest()

    def add(self, chunk: bytes) -> None:
        self._hasher.update(chunk)
        self.size += len(chunk)

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.add(chunk)
            yield chunk


def pack(blocks: Iterable[bytes], out: BinaryIO) -> Packed:
    """Compresses a stream into `out`, on all processors; the result does not depend on how many there are."""
    written, archive = Count(), Count()
    with ThreadPoolExecutor(_threads()) as pool:
        for member in _in_order(pool, archive.through(_of_equal_size(blocks))):
            written.add(member)
            out.write(member)
    return Packed(digest=written.digest, size=written.size, tar_digest=archive.digest, tar_size=archive.size)


def archive_of(entries: Iterable[Entry], created: int) -> Iterator[bytes]:
    """The part of a tar archive that holds the entries, in their order; without its end. `created`: seconds, the time of every file."""
    for entry in entries:
        if entry.file is None:
            content = entry.content or b""
            yield header_of(entry, None if entry.content is None else len(content), created) + content + _padding(len(content))
        else:
            yield from _file(entry, entry.file, created)


def header_of(entry: Entry, size: int | None, created: int) -> bytes:
    """What stands before its content in a tar archive; `size` makes it a file."""
    info = tarfile.TarInfo(entry.path)
    info.mtime = created
    info.mode = 0o755 if entry.executable else 0o644
    if entry.is_folder and size is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    elif entry.link is not None:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
    else:
        info.size = size or 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def folders_above(paths: Iterable[str]) -> list[str]:
    """Every folder that the paths lie in, sorted, so that each comes before what is in it."""
    found: set[str] = set()
    for path in paths:
        above = path.rpartition("/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return sorted(found)


def unpacked(stream: BinaryIO) -> Iterator[bytes]:
    """What is in a series of gzip members. Raises zlib.error, EOFError when it ends too early."""
    inflate = zlib.decompressobj(_GZIP)
    begun = False
    while chunk := stream.read(_COMPRESSED):
        while chunk and (begun or chunk.strip(b"\0")):  # some pad what they write
            begun = True
            yield inflate.decompress(chunk)
            chunk = inflate.unused_data
            if inflate.eof:
                inflate, begun = zlib.decompressobj(_GZIP), False
    if begun:
        raise EOFError("gzip stream ends too early")


def _in_order(pool: ThreadPoolExecutor, blocks: Iterable[bytes]) -> Iterator[bytes]:
    waiting: deque[Future[bytes]] = deque()
    for block in blocks:
        waiting.append(pool.submit(zlib.compress, block, LEVEL, _GZIP))
        if len(waiting) > 2 * _threads():
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _threads() -> int:
    return min(8, os.cpu_count() or 1)


def _of_equal_size(blocks: Iterable[bytes]) -> Iterator[bytes]:
    kept = bytearray()
    for block in blocks:
        kept += block
        while len(kept) >= BLOCK:
            yield bytes(kept[:BLOCK])
            del kept[:BLOCK]
    if kept:
        yield bytes(kept)


def _file(entry: Entry, file: Path, created: int) -> Iterator[bytes]:
    """Raises DigestMismatch when the file changes under our hands, or is not what it should be."""
    hasher, left = hashlib.sha256(), file.stat().st_size
    size = left
    yield header_of(entry, size, created)
    with file.open("rb") as stream:
        while left and (chunk := stream.read(min(_READ, left))):
            hasher.update(chunk)
            left -= len(chunk)
            yield chunk
        if left or stream.read(1):
            raise DigestMismatch(f"{file} changed while it was packed. Leave it alone and try again.")
    if entry.sha256 is not None and hasher.hexdigest() != entry.sha256:
        raise DigestMismatch(f"{file} is not what it was when it was bundled. A bundle never changes: make it again, or fetch it again.")
    yield _padding(size)


def _padding(size: int) -> bytes:
    return bytes(-size % _RECORD)

"""Writes tar archives that depend on nothing but what is in them: no owner, one time for all, two modes."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import DigestMismatch

END = bytes(1024)  # of a tar archive

_RECORD = 512
_READ = 1 << 20


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


def _file(entry: Entry, file: Path, created: int) -> Iterator[bytes]:
    """Raises DigestMismatch when the file changes under our hands, or is not what it should be."""
    hasher = hashlib.sha256() if entry.sha256 is not None else None
    size = left = file.stat().st_size
    yield header_of(entry, size, created)
    with file.open("rb") as stream:
        while left and (chunk := stream.read(min(_READ, left))):
            if hasher is not None:
                hasher.update(chunk)
            left -= len(chunk)
            yield chunk
        if left or stream.read(1):
            raise DigestMismatch(f"{file} changed while it was packed. Leave it alone and try again.")
    if hasher is not None and hasher.hexdigest() != entry.sha256:
        raise DigestMismatch(f"{file} is not what it was when it was bundled. A bundle never changes: make it again, or fetch it again.")
    yield _padding(size)


def _padding(size: int) -> bytes:
    return bytes(-size % _RECORD)

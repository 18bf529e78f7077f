"""One file as bytes, whatever it is packed in, and whether it was the storage that failed or the data that is no data."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import zipfile
from typing import Any, BinaryIO, Dict, Iterator, Optional, Protocol, Tuple, cast
from urllib.parse import unquote

import pyarrow as pa

from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.pieces import Unreadable, Unusable

PACKED = (".gz", ".bz2", ".xz", ".zst")
EXPANSION = 1000  # times the packed size; more is no data but an attack on the disk
HARMLESS = 256 << 20


class Place(Protocol):
    """What is used of fairlead_scoring.batch.places.Place."""

    url: str

    def entries(self, pattern: Optional[str] = None) -> Iterator[Any]: ...
    def stat(self, path: str) -> Optional[Any]: ...
    def open(self, path: str, offset: int = 0) -> BinaryIO: ...
    def fetch(self, path: str, folder: str) -> str: ...


class Files:
    """The files of one input, as a shard reads them: each is compared with what was planned. Keeps the last archive open."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._archive: Optional[Tuple[str, zipfile.ZipFile]] = None
        self._opened: Any = None
        self._seen: Dict[str, str] = {}

    def file(self, part: Slice) -> File:
        if part.stamp and self._seen.get(part.url) != part.stamp:
            self._compare(part)
        return File(self, part.url, part.member)

    def archive(self, url: str) -> zipfile.ZipFile:
        """Raises zipfile.BadZipFile."""
        if self._archive is None or self._archive[0] != url:
            self.close()
            local = local_path(url)
            self._opened = open(local, "rb") if local is not None else self.place.open(url)  # noqa: SIM115 - close() ends it
            try:
                self._archive = (url, zipfile.ZipFile(self._opened))
            except BaseException:
                self._opened.close()
                raise
        return self._archive[1]

    def close(self) -> None:
        if self._archive is not None:
            self._archive[1].close()
            self._archive = None
            self._opened.close()

    def _compare(self, part: Slice) -> None:
        now = self.place.stat(part.url)
        if now is None:
            raise Unusable(f"{part.url} is not there any more; it was when the job was planned. Put it back and resume, or start a new job.")
        if now.stamp != part.stamp:
            raise Unusable(f"{part.url} changed after the job was planned. Start a new job: one that mixes both would be neither.")
        self._seen = {part.url: part.stamp}


class File:
    """A file, or a member of an archive."""

    def __init__(self, files: Files, url: str, member: str = "") -> None:
        self._files = files
        self.url = url
        self.member = member
        self.name = member or url
        self.failure: Optional[BaseException] = None

    @property
    def packed(self) -> bool:
        """It can only be read from its beginning to its end."""
        return bool(self.member) or self.name.lower().endswith(PACKED)

    @property
    def local(self) -> Optional[str]:
        """Its path, when it lies on this machine's disk as it is."""
        return None if self.packed else local_path(self.url)

    def stream(self, offset: int = 0) -> BinaryIO:
        """Its text, from a byte on (0 for what is packed). Raises what the storage raises, and Unreadable for an archive that is none."""
        if self.member:
            return _unpacked(self._member(), self.member, self._members_size())
        local = local_path(self.url)
        raw = open(local, "rb", buffering=0) if local is not None else self._watched(offset)  # noqa: SIM115 - the caller closes it
        if local is not None and offset:
            raw.seek(offset)
        return _unpacked(raw, self.url, None) if self.name.lower().endswith(PACKED) else cast(BinaryIO, raw)

    def seekable(self, folder: str) -> Any:
        """For pyarrow's readers of columns: a file of its own, or a Python file of the store. folder: for what must be unpacked first."""
        if self.local is not None:
            return pa.OSFile(os.fsencode(self.local), "rb")
        if not self.packed:
            return pa.PythonFile(self._watched(0), "r")
        return pa.OSFile(self.copied(os.path.join(folder, "unpacked")), "rb")

    def copied(self, path: str) -> str:
        with self.stream() as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        return path

    def fault(self) -> Optional[BaseException]:
        return self.failure

    def _watched(self, offset: int) -> Any:
        return _Watched(self, self._files.place.open(self.url, offset))

    def _member(self) -> Any:
        try:
            return self._files.archive(self.url).open(self.member)
        except KeyError:
            raise Unreadable(f"The archive has no member {self.member}.") from None
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as fault:
            raise Unreadable(str(fault)) from fault

    def _members_size(self) -> int:
        return self._files.archive(self.url).getinfo(self.member).compress_size


class _Watched(io.RawIOBase):
    """A file of a store that notes what it raised, for pyarrow makes errors of its own of it."""

    def __init__(self, file: File, opened: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._opened = opened

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return self._opened.read(size)
        except BaseException as fault:
            self._file.failure = fault
            raise

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._opened.seek(offset, whence)

    def tell(self) -> int:
        return self._opened.tell()

    def close(self) -> None:
        if not self.closed:
            self._opened.close()
        super().close()


class _Bounded(io.RawIOBase):
    """A stream that ends an expansion which is out of proportion."""

    def __init__(self, stream: BinaryIO, raw: Any, limit: int, name: str) -> None:
        super().__init__()
        self._stream = stream
        self._raw = raw
        self._left = limit
        self._name = name

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size if size >= 0 else 1 << 20)
        while size < 0 and self._left > 0 and (more := self._stream.read(1 << 20)):
            data += more
            self._left -= len(more)
        self._left -= len(data)
        if self._left < 0:
            raise Unreadable(f"{os.path.basename(self._name)} expands to more than {EXPANSION} times its size; that is taken for an attack.")
        return data

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._raw.close()
        super().close()


def local_path(url: str) -> Optional[str]:
    if url.startswith("file:"):
        return unquote(url[5:]) if not url.startswith("file://") else unquote(url[7:])
    return None if "://" in url else url


def _unpacked(raw: Any, name: str, packed_size: Optional[int]) -> BinaryIO:
    stream = _expanded(raw, name.lower())
    size = packed_size if packed_size is not None else _size(raw)
    return cast(BinaryIO, _Bounded(stream, raw, max(HARMLESS, EXPANSION * size), name))


def _expanded(raw: Any, name: str) -> BinaryIO:
    if name.endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if name.endswith(".bz2"):
        return cast(BinaryIO, bz2.BZ2File(raw))
    if name.endswith(".xz"):
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if name.endswith(".zst"):
        return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd"))
    return cast(BinaryIO, raw)


def _size(raw: Any) -> int:
    end = raw.seek(0, os.SEEK_END)
    raw.seek(0)
    return int(end)

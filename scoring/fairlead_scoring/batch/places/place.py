"""What every kind of place can do."""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Callable, Iterator, NamedTuple, Optional

CHUNK = 1 << 20


class Entry(NamedTuple):
    """A file. stamp: changes when the file does (size, time, etag)."""

    url: str
    size: int
    stamp: str


class Outgoing(io.RawIOBase):
    """A file that nobody sees before publish(). Written from front to back; counts and hashes on the way."""

    def __init__(self, beside: IO[bytes]) -> None:
        super().__init__()
        self.bytes = 0
        self._beside = beside
        self._abandoned = False
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.bytes

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self._abandoned:  # libraries write what they hold when they are thrown away
            return len(view)
        self._hash.update(view)
        self._beside.write(view)
        self.bytes += len(view)
        return len(view)

    def close(self) -> None:
        """Libraries close what they wrote to; that does not publish it."""

    def publish(self) -> None:
        """Now it is there, whole and to stay. Doing it again for the same path replaces it in one step."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Leaves nothing. Harmless after publish()."""
        self._abandoned = True
        try:
            self._beside.close()
        except OSError:
            pass  # a full disk, said already


class Place(ABC):
    """One file system and a root. A path is relative to the root, or a URL of the same store as entries() gives them.

    url: as it was given, a pattern too; entries() without argument lists what it names. root: the folder that is fixed in it.
    on_write: told of each durable write before it is done: "flush", "put", "delete", with the path.
    """

    url: str
    root: str
    on_write: Callable[[str, str], None] = staticmethod(lambda _act, _path: None)

    @abstractmethod
    def url_of(self, path: str) -> str:
        """For messages and for Slice.url."""

    @abstractmethod
    def entries(self, pattern: Optional[str] = None, *, hidden: bool = False) -> Iterator[Entry]:
        """A file, the files below a folder, or those that match a pattern (`*`, `?`, `[ab]`, `**`), sorted by URL.

        Below what was named, names that begin with `_` or `.` are left out unless `hidden`; `_name=value` is a column. Raises Vanished when nothing is there.
        """

    @abstractmethod
    def open(self, path: str, offset: int = 0) -> BinaryIO:
        """Seekable; reads that break are tried again where they broke. Raises Vanished."""

    @abstractmethod
    def fetch(self, path: str, folder: str) -> str:
        """A file on this machine with those bytes, below `folder` unless it is here already."""

    @abstractmethod
    def begin(self, path: str) -> Outgoing:
        """For writers that live longer than a `with`."""

    @abstractmethod
    def create(self, path: str, content: bytes) -> bool:
        """Writes it if nothing is there: one of several callers gets True."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """A file, or nothing."""

    @abstractmethod
    def delete_folder(self, path: str) -> None:
        """With all that is below it, or nothing."""

    @abstractmethod
    def stat(self, path: str) -> Optional[Entry]:
        """None where no such file is."""

    def exists(self, path: str) -> bool:
        return self.stat(path) is not None

    def read_bytes(self, path: str) -> bytes:
        with self.open(path) as stream:
            return stream.read()

    def put(self, path: str, content: bytes) -> None:
        with self.write(path) as file:
            file.write(content)

    @contextmanager
    def write(self, path: str) -> Iterator[Outgoing]:
        """Published when the block ends without an error."""
        file = self.begin(path)
        try:
            yield file
            file.publish()
        finally:
            file.abandon()

"""Object stores and web servers, through fsspec. An object is there when its upload has been completed, and not before."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, Callable, Dict, Iterator, Mapping, Optional, Tuple, TypeVar, cast

from fairlead_scoring.batch.places.addresses import PACKAGES, Address
from fairlead_scoring.batch.places.faults import PlaceFault, Refused, Vanished
from fairlead_scoring.batch.places.patterns import compile_pattern, has_magic, is_hidden, split_pattern
from fairlead_scoring.batch.places.place import Entry, Outgoing, Place
from fairlead_scoring.batch.places.retrying import Persistence
from fairlead_scoring.batch.places.streams import stream_of

_PIECE = 16 << 20
_IN_MEMORY = 8 << 20
_STAMPS = ("ETag", "etag", "content_md5", "LastModified", "last_modified", "updated", "Last-Modified", "created")

T = TypeVar("T")


def connect(address: Address, options: Mapping[str, Any], secrets: Tuple[str, ...] = ()) -> Any:
    """Loads the URL's library; nothing is asked of the store. Raises Refused."""
    import fsspec  # a tenth of a second that a job on disks does without

    try:
        return Persistence(address.url, secrets).act_once(lambda: fsspec.filesystem(address.protocol, **options))
    except PlaceFault as fault:
        if "ImportError" in str(fault) or "ModuleNotFoundError" in str(fault):
            raise Refused(
                f"{address.url} needs {PACKAGES[address.protocol]}, which is not in this environment: pip install {PACKAGES[address.protocol]}."
            ) from None
        raise


class RemotePlace(Place):
    def __init__(self, address: Address, filesystem: Any, secrets: Tuple[str, ...] = ()) -> None:
        self.filesystem = filesystem
        self.address = address
        self.url = address.url
        self.read_only = address.protocol == "http"
        self._secrets = secrets
        fixed = split_pattern(address.path)[0] if not self.read_only else address.path
        self.root = f"{address.start}/{fixed}".rstrip("/")

    def url_of(self, path: str) -> str:
        return path if path.startswith(f"{self.address.start}/") else f"{self.root}/{path.lstrip('/')}".rstrip("/")

    def entries(self, pattern: Optional[str] = None, *, hidden: bool = False) -> Iterator[Entry]:
        named = self.url if pattern is None else self.url_of(pattern)
        if self.read_only:
            yield self._web_file(named)
            return
        fixed, rest = split_pattern(named[len(self.address.start) + 1 :])
        top = f"{self.address.start}/{fixed}".rstrip("/")
        matches = compile_pattern(rest).fullmatch if rest else None
        found = 0
        for entry in self._listed(top):
            below = entry.url[len(top) + 1 :]
            if matches is None or matches(below):
                found += 1
                if hidden or not below or not is_hidden(below, rest):
                    yield entry
        if not found and not rest:
            raise Vanished(f"{named} is not there, or holds nothing. See to its name.")

    def open(self, path: str, offset: int = 0) -> BinaryIO:
        url = self.url_of(path)
        entry = self.stat(url)
        if entry is None:
            raise Vanished(f"{url} is not there. See to its name.")
        if self.read_only and not self._knows_ranges(url, entry.size):
            return self._spooled(url, offset)
        return stream_of(partial(self._read, url, self._inside(url)), entry.size, offset)

    def fetch(self, path: str, folder: str) -> str:
        url = self.url_of(path)
        below = url[len(self.root) + 1 :] if url.startswith(self.root + "/") else url[len(self.address.start) + 1 :]
        name = below.partition("?")[0] if self.read_only else below
        target = os.path.normpath(os.path.join(folder, name or url.rpartition("/")[2].partition("?")[0]))
        if not target.startswith(os.path.join(os.path.normpath(folder), "")):
            raise Refused(f"{url} has a name that would be written outside of {folder}; rename it.")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        beside = f"{target}.beside"
        with self.open(url) as stream, open(beside, "wb") as file:
            while chunk := stream.read(_PIECE):
                Persistence(target).act_once(partial(file.write, chunk))
        os.replace(beside, target)
        return target

    def begin(self, path: str) -> Outgoing:
        return _Upload(self, self._writable(path))

    def create(self, path: str, content: bytes) -> bool:
        """A try whose answer was lost looks like somebody else's: what is there then tells, so content must name its writer where that matters."""
        url = self._writable(path)
        self.on_write("put", url)
        try:
            self.act(url, lambda: self.filesystem.pipe_file(self._inside(url), content, **self._only_new))
        except FileExistsError:
            return self.read_bytes(url) == content
        return True

    def delete(self, path: str) -> None:
        url = self._writable(path)
        self.on_write("delete", url)
        try:
            self.act(url, lambda: self.filesystem.rm_file(self._inside(url)))
        except Vanished:
            return

    def delete_folder(self, path: str) -> None:
        for entry in self._listed(self._writable(path)):
            self.delete(entry.url)

    def stat(self, path: str) -> Optional[Entry]:
        url = self.url_of(path)
        try:
            found = self.act(url, lambda: self.filesystem.info(self._inside(url)))
        except Vanished:
            return None
        return self._entry(url, found) if found["type"] == "file" else None

    def act(self, url: str, act: Callable[[], T]) -> T:
        return Persistence(_shown(url), self._secrets).act(act)

    @property
    def _only_new(self) -> Dict[str, Any]:
        return {"overwrite": False} if self.address.protocol == "abfs" else {"mode": "create"}

    def send(self, url: str, spool: Any, size: int) -> None:
        """Sends until it is there whole: what a library lost on the way is found out here."""
        self.on_write("put", url)
        for last in (False, False, True):
            try:
                self.act(url, lambda: self._send(self._inside(url), spool, size))
            except Vanished:  # a library whose answer was lost completes an upload twice, and is told that there is none
                if last:
                    raise
            entry = self.stat(url)
            if entry is not None and entry.size == size:
                return
        raise PlaceFault(f"{url} was taken by the store, and is not shown whole. Resume; see to its rights if that does not help.")

    def _send(self, path: str, spool: Any, size: int) -> None:
        spool.seek(0)
        if size <= _IN_MEMORY or self.address.protocol == "memory":
            self.filesystem.pipe_file(path, spool.read())
        else:
            self.filesystem.put_file(spool.name, path, **({} if self.address.protocol == "abfs" else {"chunksize": _PIECE}))

    def _writable(self, path: str) -> str:
        if self.read_only:
            raise Refused(f"{_shown(self.url_of(path))} can only be read: nothing can be written to a web server. Write to a folder or an object store.")
        return self.url_of(path)

    def _inside(self, url: str) -> str:
        return url if self.read_only else f"{self.address.bucket}{url[len(self.address.start) :]}"

    def _listed(self, top: str) -> Iterator[Entry]:
        try:
            found = self.act(top, lambda: self.filesystem.find(self._inside(top), detail=True))
        except Vanished:
            return
        for path, each in sorted(found.items()):
            if each["type"] == "file" and not path.endswith("/"):
                yield self._entry(self.address.start + path[len(self.address.bucket) :], each)

    def _entry(self, url: str, found: Mapping[str, Any]) -> Entry:
        size = -1 if found.get("size") is None else int(found["size"])
        said = next((found[word] for word in _STAMPS if found.get(word)), "")
        stamp = str(said.timestamp() if isinstance(said, datetime) else said)
        return Entry(url, size, f"{size}-{stamp.strip(chr(34))}")

    def _read(self, url: str, path: str, start: int, end: int) -> bytes:
        def once() -> bytes:
            content: bytes = self.filesystem.cat_file(path, start=start, end=end)
            if len(content) != end - start:
                raise OSError(f"{len(content)} of {end - start} bytes arrived")
            return content

        return self.act(url, once)

    def _web_file(self, url: str) -> Entry:
        if url.endswith("/") or has_magic(url.partition("?")[0]):
            raise Refused(f"{_shown(url)} names several files, and a web server does not list any; name each file.")
        entry = self.stat(url)
        if entry is None:
            raise Vanished(f"{_shown(url)} is not there. See to its name.")
        return entry

    def _knows_ranges(self, url: str, size: int) -> bool:
        if size < 2:
            return False
        try:
            return len(self.act(url, lambda: self.filesystem.cat_file(url, start=1, end=2))) == 1
        except PlaceFault:
            return False

    def _spooled(self, url: str, offset: int) -> BinaryIO:
        """For servers that send whole files only."""
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it

        def once() -> None:
            spool.seek(0)
            spool.truncate()
            self.filesystem.get_file(url, spool)

        self.act(url, once)
        spool.seek(offset)
        return cast(BinaryIO, spool)


class _Upload(Outgoing):
    """Kept on this machine until it is whole, so that sending it can be tried again."""

    def __init__(self, place: RemotePlace, url: str) -> None:
        super().__init__(tempfile.NamedTemporaryFile(prefix="fairlead-"))  # noqa: SIM115 - published or abandoned
        self._place, self._url = place, url

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as fault:
            raise Persistence(f"{tempfile.gettempdir()}, where files wait for their upload,").said(fault) from None

    def publish(self) -> None:
        self._beside.flush()
        self._place.send(self._url, self._beside, self.bytes)
        self._beside.close()


def _shown(url: str) -> str:
    """Without what follows `?`, where web servers keep tokens."""
    return url.partition("?")[0] if url.startswith("http") else url

"""The files of a place, through fsspec: list, read, put. Nothing of it is kept between two requests."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from fairlead.errors import Conflict, FairleadError, NotFound, StoreUnavailable, UsageError
from fairlead.places import discard
from fairlead.schemas.data_urls import MAGIC, SQL, Url, base_of
from fairlead.stores.retrying import act_once, persist

T = TypeVar("T")
_CHUNK = 1 << 20
_EXTRAS = {"s3": "s3", "gcs": "gcs", "azure-blob": "azure", "http": "server", "folder": "server"}
_PROTOCOLS = {"s3": "s3", "gcs": "gs", "azure-blob": "abfs", "folder": "file"}
_FRESH = {"use_listings_cache": False, "skip_instance_cache": True}
_PATIENT: Mapping[str, Mapping[str, Any]] = {"s3": {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60}}, "folder": {"auto_mkdir": True}}


@dataclass(frozen=True)
class Found:
    """path: below the shelf."""

    path: str
    size: int
    stamp: str


class Shelf:
    """Opened once for a request. `check`: raises for a path of this machine that may not be touched."""

    def __init__(self, url: Url, options: Mapping[str, Any], check: Callable[[str], None]) -> None:
        if url.kind in SQL:
            raise UsageError(f"{url.text} is a database, which has no files; read it with a query.")
        self._url = url
        self._check = check if url.kind == "folder" else lambda _path: None
        self._files, self._root = _connect(url, options)

    @property
    def is_local(self) -> bool:
        return self._url.kind == "folder"

    def each(self, pattern: str = "", *, hidden: bool = True) -> list[Found]:
        """Of a file, a folder with all below it, or a pattern; by path. hidden: with names that begin with _ or a dot. Raises NotFound."""
        self._check(self._root)
        self._url.below(pattern)
        base = base_of(pattern.strip("/"))
        found = [each for each in self._ask(lambda: self._infos(pattern), pattern) if hidden or is_shown(each.path.removeprefix(base))]
        return sorted(found, key=lambda each: each.path)

    def file(self, path: str) -> Found:
        """Raises NotFound."""
        place = self._place(path)
        info = self._ask(lambda: self._files.info(place), path)
        if info.get("type") != "file":
            raise UsageError(f"{self._url.text}/{path} is a folder; name a file.")
        return self._found(place, info)

    def has_file(self, path: str) -> bool:
        place = self._place(path)
        return self._url.kind == "http" or self._ask(lambda: bool(self._files.isfile(place)), path)

    def open(self, path: str, offset: int = 0) -> BinaryIO:
        """Raises NotFound."""
        place = self._place(path)

        def begin() -> BinaryIO:
            stream: BinaryIO = self._files.open(place, "rb")
            stream.seek(offset)
            return stream

        return self._ask(begin, path)

    def put(self, path: str, stream: BinaryIO, size: int, *, overwrite: bool) -> Found:
        """Whole or not at all. Raises Conflict for one that is there, unless it may be replaced; UsageError for other bytes than were announced."""
        place = self._place(path)
        if self._url.kind == "http":
            raise UsageError(f"{self._url.text} is read only; put files elsewhere.")
        if not overwrite and self._ask(lambda: bool(self._files.exists(place)), path):
            raise _taken(path)
        act_once(lambda: self._write(place, path, stream, size, overwrite), f"{self._url.text}/{path}")
        return self.file(path)

    def _write(self, place: str, path: str, stream: BinaryIO, size: int, overwrite: bool) -> None:
        if self.is_local:
            _write_beside(Path(place), path, stream, size, overwrite=overwrite)
            return
        sink = self._files.open(place, "wb")
        try:
            _copy(stream, sink, size, path)
        except BaseException:
            sink.closed = True  # else the rest would be published as if it were whole
            sink.discard()
            raise
        sink.close()

    def _infos(self, pattern: str) -> list[Found]:
        place = f"{self._root}/{pattern.strip('/')}" if pattern.strip("/") else self._root
        if self._url.kind == "http":
            return [self._found(place, self._files.info(place))]
        if MAGIC.search(pattern):
            infos = self._files.glob(place, detail=True)
        elif self._files.isfile(place):
            infos = {place: self._files.info(place)}
        else:
            infos = self._files.find(place, detail=True)
            if not infos and not self._files.isdir(place):
                raise FileNotFoundError(place)
        return [self._found(name, info) for name, info in infos.items() if info.get("type") == "file"]

    def _found(self, name: str, info: Mapping[str, Any]) -> Found:
        stamp = next((str(info[key]) for key in ("mtime", "ETag", "etag", "md5Hash", "content_md5", "LastModified") if info.get(key)), "")
        return Found(name.removeprefix(self._root).strip("/"), int(info.get("size") or 0), stamp.strip('"'))

    def _place(self, path: str) -> str:
        if self._url.kind != "http" and MAGIC.search(path):
            raise UsageError(f"{path[:200]!r} is a pattern; name one file.")
        self._url.below(path)
        place = f"{self._root}/{path.strip('/')}" if path.strip("/") else self._root
        self._check(place)
        return place

    def _ask(self, act: Callable[[], T], path: str) -> T:
        where = f"{self._url.text}/{path}".rstrip("/")
        try:
            return persist(act, where)
        except (FileNotFoundError, NotADirectoryError) as fault:
            raise NotFound(f"There is no {where}; look at its name.") from fault


def copy_to(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_CHUNK):
            yield piece


def _connect(url: Url, options: Mapping[str, Any]) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 - a server that starts need not wait for it

    try:
        protocol = _PROTOCOLS.get(url.kind) or url.text.partition("://")[0]
        filesystem_of = fsspec.get_filesystem_class(protocol)
    except ImportError as fault:
        raise UsageError(f"{url.text} needs a library that is not installed here: pip install 'fairlead[{_EXTRAS[url.kind]}]'.") from fault
    said = {**_FRESH, **_PATIENT.get(url.kind, {}), **options}
    filesystem = act_once(lambda: filesystem_of(**said), url.text)
    return filesystem, str(filesystem._strip_protocol(url.text)).rstrip("/")


def _write_beside(place: Path, path: str, stream: BinaryIO, size: int, *, overwrite: bool) -> None:
    new = place.with_name(f".{place.name}.{secrets.token_hex(6)}")
    try:
        _make_folder(place.parent, path)
        with new.open("xb") as sink:
            _copy(stream, sink, size, path)
            sink.flush()
            os.fsync(sink.fileno())
        if overwrite:
            new.replace(place)
        else:
            os.link(new, place)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as fault:
        raise StoreUnavailable(f"{path} cannot be written ({fault.strerror}); see to the disk and the rights of the datastore's folder.") from fault
    finally:
        discard(new)


def _make_folder(folder: Path, path: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{path} cannot be made: a part of it is a file; give another name.") from None


def _copy(stream: BinaryIO, sink: Any, size: int, path: str) -> None:
    copied = 0
    for piece in copy_to(stream):
        sink.write(piece)
        copied += len(piece)
    if copied != size:
        raise UsageError(f"{path} was announced with {size} bytes, and {copied} came; upload it again.")


def _taken(path: str) -> FairleadError:
    return Conflict(f"{path} is there already; give another name, or say that it may be replaced.")


def is_shown(path: str) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.split("/") if "=" not in part)

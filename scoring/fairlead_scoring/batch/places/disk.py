"""Folders of this machine."""

from __future__ import annotations

import os
import secrets
import shutil
from typing import BinaryIO, Iterator, List, Optional, Set, Tuple, cast
from urllib.parse import unquote

from fairlead_scoring.batch.places.faults import Refused, Vanished
from fairlead_scoring.batch.places.patterns import compile_pattern, has_magic, is_hidden, split_pattern
from fairlead_scoring.batch.places.place import Entry, Outgoing, Place
from fairlead_scoring.batch.places.retrying import Persistence

OWN = "_fairlead"  # our folder in an output
TEMPORARY = os.path.join(OWN, "beside")


class DiskPlace(Place):
    """Paths with or without file://; what is written is flushed and renamed."""

    def __init__(self, url: str) -> None:
        self.url = plain_path(url)
        fixed = self.url if os.path.exists(self.url) else split_pattern(self.url)[0] or "/"
        self.root = fixed if os.path.isdir(fixed) or not os.path.exists(fixed) else os.path.dirname(fixed)

    def url_of(self, path: str) -> str:
        return os.path.join(self.root, plain_path(path) if path.startswith("file:") else path).rstrip("/") or "/"

    def entries(self, pattern: Optional[str] = None, *, hidden: bool = False) -> Iterator[Entry]:
        named = self.url if pattern is None else self.url_of(pattern)
        if not has_magic(named) or os.path.exists(named):
            yield from self._below(named, hidden)
            return
        fixed, rest = split_pattern(named)
        matches = compile_pattern(rest).fullmatch
        start = len(fixed.rstrip("/")) + 1
        for path, found in sorted(self._walk(fixed or "/")):
            if matches(path[start:]) and (hidden or not is_hidden(path[start:], rest)):
                yield _entry(path, found)

    def open(self, path: str, offset: int = 0) -> BinaryIO:
        where = self.url_of(path)
        stream = self._persistence(where).act_once(lambda: open(where, "rb"))  # noqa: SIM115 - the caller closes it
        stream.seek(offset)
        return stream

    def fetch(self, path: str, folder: str) -> str:  # noqa: ARG002 - it is here already
        if not os.path.isfile(self.url_of(path)):
            raise Vanished(f"{self.url_of(path)} is not there. See to its name.")
        return self.url_of(path)

    def begin(self, path: str) -> Outgoing:
        target = self.url_of(path)
        return self._persistence(target).act_once(lambda: _OnDisk(self, target, self._name_beside(target)))

    def create(self, path: str, content: bytes) -> bool:
        target = self.url_of(path)
        file = cast(_OnDisk, self.begin(path))
        try:
            file.write(content)
            return self._persistence(target).act_once(file.publish_if_new)
        finally:
            file.abandon()

    def append_line(self, path: str, line: bytes) -> None:
        """At the end of the file, whole; it is on the disk when this returns."""
        target = self.url_of(path)
        self.on_write("flush", target)
        self._persistence(target).act_once(lambda: _append(target, line))

    def flush_folders(self, paths: Set[str]) -> None:
        """Makes the names of files survive a power failure, too."""
        for folder in sorted({os.path.dirname(self.url_of(path)) for path in paths}):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def delete(self, path: str) -> None:
        where = self.url_of(path)
        if os.path.lexists(where):
            self.on_write("delete", where)
            self._persistence(where).act_once(lambda: os.unlink(where))

    def delete_folder(self, path: str) -> None:
        where = self.url_of(path)
        if os.path.isdir(where):
            self.on_write("delete", where)
            self._persistence(where).act_once(lambda: shutil.rmtree(where))

    def stat(self, path: str) -> Optional[Entry]:
        where = self.url_of(path)
        try:
            found = os.stat(where)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if os.path.isdir(where) else _entry(where, found)

    def _persistence(self, path: str) -> Persistence:
        return Persistence(path)

    def _name_beside(self, target: str) -> str:
        """In our own folder where an output has one, so that what a killed process leaves is found and removed; else a hidden name in the same folder."""
        name = f".{os.path.basename(target)}.{secrets.token_hex(4)}.beside"
        inside = target.startswith(self.root + os.sep) and os.path.isdir(os.path.join(self.root, OWN))
        return os.path.join(self.root, TEMPORARY, name) if inside else os.path.join(os.path.dirname(target), name)

    def _below(self, named: str, hidden: bool) -> Iterator[Entry]:
        if os.path.isfile(named):
            yield _entry(named, os.stat(named))
            return
        if not os.path.isdir(named):
            raise Vanished(f"{named} is not there. See to its name.")
        for path, found in sorted(self._walk(named, None if hidden else named)):
            yield _entry(path, found)

    def _walk(self, top: str, unhidden: Optional[str] = None) -> Iterator[Tuple[str, os.stat_result]]:
        """unhidden: hidden names below this are left out. Links are followed, but not round in circles."""
        left: List[Tuple[str, Tuple[str, ...]]] = [(top, ())] if os.path.isdir(top) else []
        while left:
            folder, above = left.pop()
            real = os.path.realpath(folder)
            if real in above:
                continue
            for each in self._persistence(folder).act_once(lambda folder=folder: list(os.scandir(folder))):  # type: ignore[misc]
                if unhidden is not None and is_hidden(each.name):
                    continue
                if each.is_dir():
                    left.append((each.path, (*above, real)))
                elif each.is_file():
                    yield each.path, each.stat()


class _OnDisk(Outgoing):
    def __init__(self, place: DiskPlace, target: str, beside: str) -> None:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.makedirs(os.path.dirname(beside), exist_ok=True)
        super().__init__(open(beside, "xb", buffering=1 << 16))  # noqa: SIM115 - published or abandoned
        self._place, self._target, self._name = place, target, beside

    def write(self, data: object) -> int:
        try:
            return super().write(data)
        except OSError as fault:
            raise Persistence(self._target).said(fault) from None

    def publish(self) -> None:
        Persistence(self._target).act_once(self._publish)

    def publish_if_new(self) -> bool:
        self._flush()
        try:
            os.link(self._name, self._target)
        except FileExistsError:
            return False
        return True

    def abandon(self) -> None:
        super().abandon()
        if os.path.exists(self._name):
            os.unlink(self._name)

    def _publish(self) -> None:
        self._flush()
        os.replace(self._name, self._target)

    def _flush(self) -> None:
        self._place.on_write("flush", self._target)
        self._beside.flush()
        os.fsync(self._beside.fileno())
        self._beside.close()


def plain_path(url: str) -> str:
    """file:///a/b is /a/b. Raises Refused for a file of another machine."""
    if not url.startswith("file:"):
        return os.path.abspath(os.path.expanduser(url))
    rest = url[5:]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost"):
            raise Refused(f"{url!r} is a folder of another machine; mount it here, or write file:///FOLDER with three slashes.")
        rest = slash + path
    return os.path.abspath(unquote(rest))


def _entry(path: str, found: os.stat_result) -> Entry:
    return Entry(path, found.st_size, f"{found.st_size}-{found.st_mtime_ns}")


def _append(path: str, line: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        while line:
            line = line[os.write(handle, line) :]
        os.fsync(handle)
    finally:
        os.close(handle)

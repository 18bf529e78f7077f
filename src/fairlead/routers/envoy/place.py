"""The router's folder: all that a later process needs to take it over.

routes/<handle>.json      what is published (Kept)
retired/<handle>.json     what was, until its requests are answered
xds/listeners.json        read by Envoy, as are the next two: addresses, with their certificates
    clusters.json         generations of replicas, the older ones until their requests are answered
    routes.json           which generation answers for which route
bootstrap.json, keeper.json   how Envoy is started
keeper.lock, envoy.lock   who holds one is the keeper, or Envoy; the process id is inside
idle                      nothing has been published since its time; once nobody is connected any more, keeper and Envoy end
log/                      envoy.log · answers.log: what the router answered itself · keeper.log
admin.sock                Envoy's administration, for the owner alone
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fairlead.errors import BootFailure
from fairlead.routers.envoy import table
from fairlead.routers.envoy.files import read_json
from fairlead.routers.envoy.resources import ResourceFile
from fairlead.routers.kept import Kept, check_handle, from_json

LONGEST_SOCKET = 100  # bytes; the system's limit is 107


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.xds = folder / "xds"
        self.listeners = ResourceFile(self.xds / "listeners.json")
        self.clusters = ResourceFile(self.xds / "clusters.json")
        self.routes = ResourceFile(self.xds / "routes.json", *table.FRAME)
        self.bootstrap = folder / "bootstrap.json"
        self.keeper = folder / "keeper.json"
        self.keeper_lock = folder / "keeper.lock"
        self.envoy_lock = folder / "envoy.lock"
        self.idle = folder / "idle"
        self.log = folder / "log"
        self.admin = _socket(folder)

    def route(self, handle: str) -> Path:
        """Raises UsageError for a handle that is none."""
        check_handle(handle)
        return self.folder / "routes" / f"{handle}.json"

    def retired(self, handle: str) -> Path:
        check_handle(handle)
        return self.folder / "retired" / f"{handle}.json"

    def kept(self, handle: str) -> Kept | None:
        return _read(self.route(handle))

    def kept_until_now(self, handle: str) -> Kept | None:
        """Also of a route that is retired."""
        return _read(self.route(handle)) or _read(self.retired(handle))

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """One at a time, over threads and processes. Raises BootFailure when the folder cannot be written to."""
        try:
            for folder in (self.folder, self.admin.parent, self.folder / "routes", self.folder / "retired", self.log, self.xds):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _insist_on_ownership(self.admin.parent)
            fd = os.open(self.folder / "changing.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._not_written(error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise self._not_written(error) from error
        finally:
            os.close(fd)

    def holder(self, lock: Path) -> int | None:
        """The process that holds a lock; None when nobody does."""
        try:
            fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(fd, 20, 0)
            return int(said) if said.strip().isdigit() else 0
        finally:
            os.close(fd)
        return None

    def _not_written(self, error: OSError) -> BootFailure:
        return BootFailure(f"The router's folder {self.folder} cannot be written to ({error.strerror or error}); make room there, or make it yours.")


def _read(path: Path) -> Kept | None:
    said = read_json(path)
    return from_json(said) if said else None


def _socket(folder: Path) -> Path:
    """In the folder, or where paths are short when that one's is too long: the same for everyone who looks at this folder."""
    near = folder / "admin.sock"
    if len(os.fsencode(near)) <= LONGEST_SOCKET:
        return near
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path("/tmp") / f"fairlead-{os.getuid()}-{name}" / "admin.sock"  # noqa: S108 - refused unless it is the owner's alone


def _insist_on_ownership(folder: Path) -> None:
    """Who reaches the socket commands the proxy."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(None, f"{folder} belongs to somebody else")
    if found.st_mode & 0o077:
        folder.chmod(0o700)

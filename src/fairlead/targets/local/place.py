"""A service's folder, and what is known of it there: enough for any later process to take it over, and no process ids.

services/<handle>/service.json   what is wanted (Kept)
                  options.json   what `serve` reads, at its start and at each reload
                  keys.json      hashes of keys, or the rule for tokens
                  inputs/<id>/   sample, recorded answer and secrets of one generation
                  report.json    what became of the last start or reload
                  log/           service.jsonl, .1 … .5 · output.log: what a crash of the runtime itself leaves
                  work/          working directories of the workers
run/<handle>.sock, .lock         the control socket; who holds the lock runs the service
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fairlead.targets.checking import endpoint_of
from fairlead.targets.files import check_handle, is_held, locked, not_written, read_json, write_json

LONGEST_SOCKET = 100  # bytes; as fairlead_scoring.supervisor.control_socket has it


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What was applied last. `published`: it has served at its port, which somebody may have noted down."""

    handle: str
    workspace: str
    name: str
    revision: str
    generation: int
    host: str
    port: int
    tls: bool
    workers: int
    is_wanted: bool = True
    is_published: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict)  # generation → folder

    @property
    def endpoint(self) -> str:
        return endpoint_of(self.host, self.port, tls=self.tls)


class Place:
    def __init__(self, root: Path, handle: str) -> None:
        """Raises UsageError for a handle that is none."""
        check_handle(handle)
        self.handle = handle
        self.folder = root / "services" / handle
        self.socket = _socket(root, handle)
        self.options = self.folder / "options.json"
        self.keys = self.folder / "keys.json"
        self.inputs = self.folder / "inputs"
        self.report = self.folder / "report.json"
        self.log = self.folder / "log" / "service.jsonl"
        self.output = self.folder / "log" / "output.log"
        self.work = self.folder / "work"

    @property
    def kept(self) -> Kept | None:
        said = read_json(self.folder / "service.json")
        known = {one.name for one in fields(Kept)}
        return Kept(**{name: value for name, value in said.items() if name in known}) if said else None

    def keep(self, kept: Kept) -> None:
        write_json(self.folder / "service.json", asdict(kept))

    @property
    def last_report(self) -> dict[str, Any]:
        return read_json(self.report)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """One at a time, over threads and processes. Raises BootFailure when the folder cannot be written to."""
        try:
            for folder in (self.folder, self.log.parent, self.inputs, self.socket.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.folder / "changing.lock"):
                yield
        except OSError as error:
            raise not_written(self.folder, error) from error

    def lock(self) -> int | None:
        """A descriptor that makes its holder the one who runs the service; None when somebody does."""
        fd = os.open(f"{self.socket}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    @property
    def is_running(self) -> bool:
        return is_held(Path(f"{self.socket}.lock"))


def _socket(root: Path, handle: str) -> Path:
    """In the state folder, or where paths are short when that one's is too long: the same for everyone who looks at this folder."""
    near = root / "run" / f"{handle}.sock"
    if len(os.fsencode(near)) <= LONGEST_SOCKET:
        return near
    folder = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return Path("/tmp") / f"fairlead-{os.getuid()}-{folder}" / f"{handle}.sock"  # noqa: S108 - the runtime refuses a folder that is not the owner's alone

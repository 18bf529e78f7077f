"""A service's folder, and what is known of it there: with the labels of its containers, enough for any later process to take it over.

installation               this folder's name among those that use one engine
images/                    see `loaded`
<handle>/service.json      what is wanted and what serves (Kept), with secrets while it is wanted
         log/gone.log, .1  the last lines of containers that are no more, each behind its time
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fairlead.targets.docker.loaded import Loaded
from fairlead.targets.files import check_handle, locked, locked_at_once, not_written, read_json, write_json, write_whole
from fairlead.targets.types import Auth, Failure, Image, Resources, Service, Tls

TRYING, OK, FAILED = "trying", "ok", "failed"
MOST_LOG = 5_000_000  # bytes, twice


@dataclass(frozen=True, kw_only=True)
class Kept:
    """`batch`: the generation with which the containers that are to answer for `wanted` came; a change of replicas or keys keeps it.

    Times are seconds since 1970. `tenured`: containers that have served, which the engine restarts. `retired`: those that get no request, since when.
    `live`: digest of the files that each container has and that may change in place. `routed`: ports and weights as published last.
    """

    wanted: Service
    batch: int
    port: int
    began: float
    outcome: str = TRYING
    failure: Failure | None = None
    serving: Service | None = None
    serving_batch: int = 0
    is_wanted: bool = True
    is_published: bool = False
    is_switching: bool = False
    switched: float = 0.0
    tenured: tuple[str, ...] = ()
    retired: Mapping[str, float] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)
    routed: tuple[tuple[int, int], ...] = ()
    troubles: tuple[float, ...] = ()  # when containers that had served were replaced
    trouble: str = ""  # why the last of them was

    @property
    def tried(self) -> int:
        """The newest generation that was tried to its end."""
        return self.wanted.generation if self.outcome != TRYING else self.serving.generation if self.serving else 0


class Home:
    """All of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder.absolute()
        self.loaded = Loaded(self.root)

    @property
    def installation(self) -> str:
        """Made when it is first asked for. Raises BootFailure."""
        path = self.root / "installation"
        with contextlib.suppress(OSError):
            return path.read_text().strip()
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.root / "installation.lock"):
                if not path.exists():
                    write_whole(path, uuid.uuid4().hex[:12].encode())
            return path.read_text().strip()
        except OSError as error:
            raise not_written(self.root, error) from error

    def handles(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("*/service.json")) if self.root.is_dir() else []

    def ports(self, but: str) -> set[int]:
        return {kept.port for handle in self.handles() if handle != but and (kept := Place(self, handle).kept)}


class Place:
    def __init__(self, home: Home, handle: str) -> None:
        """Raises UsageError for a handle that is none."""
        check_handle(handle)
        self.handle = handle
        self.folder = home.root / handle
        self.log = self.folder / "log" / "gone.log"

    @property
    def kept(self) -> Kept | None:
        said = read_json(self.folder / "service.json")
        return _kept(said) if said else None

    def keep(self, kept: Kept) -> None:
        """Raises BootFailure when the folder cannot be written to."""
        try:
            write_json(self.folder / "service.json", _plain(asdict(kept)))
        except OSError as error:
            raise not_written(self.folder, error) from error

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """One at a time, over threads and processes. Raises BootFailure when the folder cannot be written to."""
        try:
            self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = locked(self.folder / "changing.lock")
            lock.__enter__()
        except OSError as error:
            raise not_written(self.folder, error) from error
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def changing_at_once(self) -> AbstractContextManager[bool]:
        """Whether nobody else is changing it."""
        return locked_at_once(self.folder / "changing.lock")

    def write_log(self, lines: bytes) -> None:
        """At the end of those that are kept of containers that are gone."""
        with contextlib.suppress(OSError):
            if self.log.exists() and self.log.stat().st_size > MOST_LOG:
                self.log.replace(self.log.with_name("gone.log.1"))
            with self.log.open("ab") as file:
                file.write(lines)

    def read_log(self) -> bytes:
        found = b""
        for path in (self.log.with_name("gone.log.1"), self.log):
            with contextlib.suppress(OSError):
                found += path.read_bytes()
        return found


def without_secrets(kept: Kept) -> Kept:
    """Once nobody wants it: enough to show it, and to give it the same port again."""

    def bare(service: Service) -> Service:
        return replace(service, secrets={}, environment={}, auth=Auth(), sample=None, expected=None)

    return replace(kept, wanted=bare(kept.wanted), serving=bare(kept.serving) if kept.serving else None)


def shape(service: Service) -> str:
    """The same for services whose containers are interchangeable: replicas are a number of them, and keys and certificates change in place."""
    alike = replace(service, generation=0, replicas=1, auth=Auth(), port=None)
    said = json.dumps([_plain(asdict(alike)), service.auth.mode == "none"], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, Path) else value


def _kept(said: dict[str, Any]) -> Kept:
    named = _known(Kept, said)
    failure, serving = named.get("failure"), named.get("serving")
    return Kept(
        **{
            **named,
            "wanted": _service(named["wanted"]),
            "serving": _service(serving) if serving else None,
            "failure": Failure(**{**_known(Failure, failure), "log_lines": tuple(failure["log_lines"])}) if failure else None,
            "tenured": tuple(named.get("tenured", ())),
            "routed": tuple((port, weight) for port, weight in named.get("routed", ())),
            "troubles": tuple(named.get("troubles", ())),
        }
    )


def _service(said: dict[str, Any]) -> Service:
    named = _known(Service, said)
    auth = _known(Auth, named["auth"])
    return Service(
        **{
            **named,
            "bundle": Path(named["bundle"]) if named["bundle"] else None,
            "python": Path(named["python"]) if named["python"] else None,
            "image": Image(**_known(Image, named["image"])) if named["image"] else None,
            "resources": Resources(**_known(Resources, named["resources"])),
            "auth": Auth(**{**auth, "token_secret": base64.b64decode(auth["token_secret"])}),
            "tls": Tls(cert=Path(named["tls"]["cert"]), key=Path(named["tls"]["key"])) if named["tls"] else None,
            "secrets": {name: base64.b64decode(value) for name, value in named["secrets"].items()},
            "sample": _bytes(named["sample"]),
            "expected": _bytes(named["expected"]),
        }
    )


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)


def _known(kind: type[Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a later release has written."""
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in said.items() if name in names}

"""The seam between what is wanted and where it runs.

The handle of a workload is its only name here, so a crash between two steps loses nothing: the step is done again.
`tests/fairlead/targets/contract.py` says what every target must do; `fairlead.testing.targets.FakeTarget` is one without processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

LAST_LINES = 50  # of a log, in a failure


class State(StrEnum):
    """The one internal set of states; E6, B11, E8 and 2.7 have words of their own for them (DECISIONS 30)."""

    ABSENT = "absent"  # nothing of this handle is known here
    STARTING = "starting"  # the first revision is on its way; nothing answers yet
    RUNNING = "running"
    UPDATING = "updating"  # one revision answers while the next is on its way
    UNHEALTHY = "unhealthy"  # it has served, and no worker can answer now
    FAILED = "failed"  # nothing answers, and `Observation.failure` says why
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Who may score. `key`: SHA-256 of each, in hex. `token`: HS256 (DECISIONS 16), whose `aud` must be `audience`; exclusive with keys."""

    mode: Literal["none", "key", "token"] = "none"
    key_hashes: Mapping[str, str] = field(default_factory=dict)  # primary, secondary
    token_secret: bytes = b""
    audience: str = ""

    def __repr__(self) -> str:
        return f"Auth(mode={self.mode!r})"  # the token's secret belongs in no log


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files: the full chain, and its key."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A built image. `digest`: of its manifest for this target's platform; `id`: of its configuration; plain hex. `name`: for people, with a tag."""

    digest: str
    id: str
    name: str
    size: int = 0  # bytes of all its layers as they are stored, for a progress in percent; 0: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Of one replica. None: no limit."""

    cpu: float | None = None  # cores
    memory: int | None = None  # bytes
    gpu: int | None = None  # devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is wanted of one service, whole. `generation` grows with every change of anything here."""

    handle: str  # fl-xxxxxxxx
    workspace: str
    name: str
    revision: str  # short id, shown in x-fairlead-revision
    generation: int
    bundle: Path | None = None  # targets that run folders need it, and python
    python: Path | None = None
    image: Image | None = None  # targets that run images need it
    resources: Resources = field(default_factory=Resources)
    host: str = "127.0.0.1"
    port: int | None = None  # None: the target picks one, once, and keeps it
    workers: int = 1
    replicas: int = 1  # on `local`, processes: workers times replicas
    auth: Auth = field(default_factory=Auth)
    tls: Tls | None = None
    limits: Mapping[str, float] = field(default_factory=dict)  # deadline, wait (seconds), waiting (requests per worker), body (bytes)
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # files, 0600, in FAIRLEAD_SECRETS_DIR
    sample: bytes | None = None  # a request body; None: the bundle's own
    expected: bytes | None = None  # the recorded answer to it, JSON; a candidate that answers otherwise gets no traffic
    tolerance: float = 1e-6  # of numbers in it, absolute or relative
    unsafe_formats: Literal["allow", "deny"] = "deny"
    log_level: str = "info"
    max_log_bytes: int = 50_000_000  # per file; five older ones are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a revision does not serve. Causes are kebab-case codes, listed in `CAUSES`."""

    stage: str  # starting, proving
    cause: str
    message: str
    log_lines: tuple[str, ...] = ()  # the last, at most LAST_LINES


CAUSES: Mapping[str, str] = {
    "answer-differs": "the sample's answer is not the recorded one",
    "bundle-damaged": "a file of the bundle is missing or not what its manifest says",
    "bundle-refused": "the bundle holds a format that this server refuses to load",
    "disk-full": "there is no room left on the disk",
    "engine-failed": "the container engine does not answer, or does not do what it is told",
    "front-failed": "the process that speaks HTTP could not start",
    "image-missing": "the container engine does not have the image, and it could not be loaded",
    "image-unusable": "the image is none of Fairlead's, or not for this machine",
    "init-raised": "init() raised",
    "interpreter-missing": "the environment's Python cannot be started, or is too old",
    "killed": "a signal ended the process while it started",
    "out-of-memory": "it needed more memory than its limit allows",
    "options-invalid": "the service's options are not usable together",
    "package-missing": "the script imports a package that the environment does not have",
    "port-taken": "another process listens on the service's port",
    "sample-failed": "the sample was answered with an error",
    "script-error": "the script cannot be loaded",
    "worker-ended": "the script, or a library in it, ended the whole process",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is true now."""

    state: State
    endpoint: str | None = None  # http://host:port
    revision: str | None = None  # the one that answers now
    generation: int = 0  # the newest that was tried to its end, well or not; 0: none yet
    message: str = ""
    failure: Failure | None = None  # of that newest generation; with one, `revision` may be an older one that goes on serving
    workers_ready: int = 0
    workers_wanted: int = 0


Follow = bool | Callable[[], bool]


class Target(Protocol):
    """Declarative and idempotent. An unwell workload is a state, not an exception."""

    def apply(self, workload: Service) -> None:
        """Make it so, and return without waiting; twice is still one workload. A generation older than the one applied last is ignored.

        Raises UsageError for what can never run, such as an open address without a key.
        """

    def observe(self, handle: str) -> Observation:
        """Never raises for a workload that is absent, stopped or broken."""
        ...

    def logs(self, handle: str, *, tail: int = 200, revision: str | None = None, request_id: str | None = None, follow: Follow = False) -> Iterator[str]:
        """The last lines that fit the filters, oldest first, without line ends; with `follow` also those to come, until the workload has ended.

        follow: a function is asked now and then, also while nothing comes, and ends it by answering False.
        """
        ...

    def stop(self, handle: str) -> None:
        """Answer what is in hand, then end. Silent when it is gone already. Its secrets are removed."""

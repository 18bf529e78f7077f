"""What a server is told: flags over FAIRLEAD_* variables over what `fairlead server start` was told last over defaults. Read once, passed on."""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fairlead import places
from fairlead.errors import UsageError
from fairlead.server.redaction import without_secrets
from fairlead.targets.files import write_whole

KEY_FILE = "master.key"
LOG_FILE = "server.log"
REMEMBERED_FILE = "settings.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Paths are absolute; times in seconds, sizes in bytes. Each field is a flag, with dashes, and a variable FAIRLEAD_…."""

    state_dir: Path = field(default_factory=places.state_dir)
    """What must survive: database, files, keys, logs; empty: where this system keeps state. Never on NFS."""
    cache_dir: Path = field(default_factory=places.cache_dir)
    """What can be made again: environments, laid-down bundles; empty: where this system keeps caches."""
    database_url: str = ""
    """sqlite:///PATH or postgresql://…; empty: `fairlead.db` in the state folder."""
    store_url: str = ""
    """Folder, s3://, gs://, abfs(s)://; empty: `blobs` in the state folder."""
    data_dir: str = ""
    """Folder of every workspace's datastore `workspaceblobstore`, the same for all servers on one database; empty: `data` in the state folder."""
    master_key_file: str = ""
    """Base64 of 32 bytes, 0600, the same for all servers on one database; empty: FAIRLEAD_MASTER_KEY, else made in the state folder."""
    host: str = "127.0.0.1"
    """Address to listen on. Beyond this machine, with a certificate."""
    port: int = 0
    """0 picks a free one."""
    tls_cert: str = ""
    """PEM file: the certificate and its chain."""
    tls_key: str = ""
    """PEM file: the certificate's key."""
    unsafe_formats: str = ""
    """Models whose loading runs code: allow (with a notice) or deny; empty: allow on the local server, else deny (DECISIONS 29)."""
    dockerfile_builds: str = ""
    """Dockerfile steps of a service's configuration, run as root by the container engine: allow or deny; empty: allow on the local server, else deny."""
    local: bool = False
    """Started by the CLI or SDK for one user on this machine."""
    managed_by: str = ""
    """What starts it again by itself, such as systemd: the CLI does not replace it."""
    image_key: str = ""
    """PEM file of a public key (cosign.pub): containers run only images that are signed with it; empty: any."""
    docker_host: str = ""
    """Container engine: unix:///path/of/socket, tcp://host:port or ssh://user@host; empty: DOCKER_HOST, else the Docker client's context or default socket."""
    max_body: int = 64 * 1024 * 1024
    """Bytes that a request's body may have; uploads of files are not bound by it."""
    log_level: str = "info"
    """debug, info, warning or error."""
    log_file: str = ""
    """`-` is standard error; empty: standard error too, or for the local server `server.log` in the state folder."""
    log_bytes: int = 10_000_000
    """A log file is turned over at this size."""
    log_files: int = 5
    """Older ones that are kept."""
    workers: int = 4
    """Acts on services, builds and the like that go on at once."""
    lease_seconds: float = 30.0
    """How long an act that its server left undone waits for another server."""
    image_base: str = "python:{python}-slim"
    """What images are built upon where nobody says: a reference, or a path here of an OCI layout or Docker archive; {python}: 3.11 or the like."""
    sweep_hours: float = 24.0
    """The server clears up by itself this often (`fairlead server gc`); 0: never."""
    keep_contents_days: float = 7.0
    """Uploaded contents that no version and no service needs."""
    keep_uploads_days: float = 7.0
    """Uploads that nobody goes on with."""
    keep_caches_days: float = 30.0
    """Environments, bundles laid down here and logs of services, once nothing needs them."""
    keep_layers_gb: float = 20.0
    """What builds of images remember on this machine, at most; what was used longest ago goes first."""
    batch_jobs: int = 2
    """Batch jobs that run at once on this machine; more wait."""
    batch_roots: str = ""
    """Folders of this machine that batch jobs may read and write, with a colon between; empty: any on the local server, else none."""
    keep_jobs_days: float = 30.0
    """Logs and bundles of batch jobs that are over; the answers that they left here stay until the job is deleted."""

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.state_dir / 'fairlead.db'}"

    @property
    def store(self) -> str:
        return self.store_url or str(self.state_dir / "blobs")

    @property
    def data(self) -> Path:
        return Path(self.data_dir).absolute() if self.data_dir else self.state_dir / "data"

    @property
    def log_path(self) -> Path | None:
        """None: standard error."""
        if self.log_file:
            return None if self.log_file == "-" else Path(self.log_file).absolute()
        return self.state_dir / LOG_FILE if self.local else None

    @property
    def formats(self) -> str:
        """allow or deny."""
        return self.unsafe_formats or ("allow" if self.local else "deny")

    @property
    def images_cache(self) -> Path:
        """Parts of images, by what made them, and builds in progress."""
        return self.cache_dir / "images"

    @property
    def roots(self) -> tuple[Path, ...] | None:
        """Folders that batch jobs may use; None: any."""
        if not self.batch_roots:
            return None if self.local else ()
        return tuple(Path(each).absolute() for each in self.batch_roots.split(os.pathsep) if each)

    @property
    def may_build(self) -> bool:
        return (self.dockerfile_builds or ("allow" if self.local else "deny")) == "allow"


@dataclass(frozen=True)
class Said:
    """A setting, and who said it: a flag, a variable, the file of `fairlead server start`, or nobody."""

    value: Any
    source: str


def read(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises UsageError that names the flag or variable."""
    settings = Settings(**{name: each.value for name, each in told(flags, environment).items() if each.source != "default"})
    if settings.unsafe_formats not in ("", "allow", "deny"):
        raise UsageError(f"--unsafe-formats {settings.unsafe_formats}: say allow or deny.")
    if settings.dockerfile_builds not in ("", "allow", "deny"):
        raise UsageError(f"--dockerfile-builds {settings.dockerfile_builds}: say allow or deny.")
    if settings.workers < 1:
        raise UsageError(f"--workers {settings.workers}: at least one act has to go on at a time.")
    if settings.batch_jobs < 1:
        raise UsageError(f"--batch-jobs {settings.batch_jobs}: at least one batch job has to run at a time.")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise UsageError("TLS needs a certificate and its key: give both --tls-cert and --tls-key.")
    return settings


def told(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> dict[str, Said]:
    """Every setting with its source."""
    here = {each.name: _said(each.name, flags, environment) for each in fields(Settings)}
    state = here["state_dir"]
    folder = state.value if state else places.state_dir()
    kept = remembered(folder)
    defaults = Settings()
    path = str(folder / REMEMBERED_FILE)
    from_file = {name: Said(_parse(name, path, value), path) for name, value in kept.items()}
    return {name: said or from_file.get(name) or Said(getattr(defaults, name), "default") for name, said in here.items()}


def remembered(folder: Path) -> dict[str, Any]:
    """What the server of this state folder was told when it was started; nothing when it was told nothing."""
    path = folder / REMEMBERED_FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); correct it, or delete it and tell `fairlead server start` its flags again.") from error
    if not isinstance(kept, dict) or not kept.keys() <= {each.name for each in fields(Settings)}:
        raise UsageError(f"{path} does not hold a server's settings; correct it, or delete it and tell `fairlead server start` its flags again.")
    return kept


def remember(folder: Path, flags: Mapping[str, Any]) -> None:
    """The next start needs no flags: what comes back after a reboot is the same server. An empty flag is forgotten."""
    given = {name: str(value) for name, value in flags.items() if value is not None and name not in NOT_REMEMBERED}
    if not given:
        return
    kept = {name: value for name, value in (remembered(folder) | given).items() if value != ""}
    path = folder / REMEMBERED_FILE
    write_whole(path, f"{json.dumps(kept, indent=2)}\n".encode())


def shown(value: Any) -> Any:
    """As a person may see it: without the password of a URL."""
    return without_secrets(str(value)) if isinstance(value, str | Path) else value


def misspelt(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each FAIRLEAD_* variable that is none, and is close to one that is."""
    variables = [_variable(each.name) for each in fields(Settings)] + ["FAIRLEAD_HOME", "FAIRLEAD_MASTER_KEY", "FAIRLEAD_URL", "FAIRLEAD_TOKEN"]
    unknown = [name for name in environment if name.startswith("FAIRLEAD_") and name not in variables]
    close = {name: difflib.get_close_matches(name, variables, 1, 0.85) for name in unknown}
    return [f"The variable {name} is not one of Fairlead's; did you mean {found[0]}?" for name, found in close.items() if found]


def _said(name: str, flags: Mapping[str, Any], environment: Mapping[str, str]) -> Said | None:
    flag, variable = f"--{name.replace('_', '-')}", _variable(name)
    if flags.get(name) is not None:
        return Said(_parse(name, flag, flags[name]), flag) if flags[name] != "" else Said(getattr(Settings(), name), flag)
    if environment.get(variable):
        return Said(_parse(name, variable, environment[variable]), variable)
    return None


def _variable(name: str) -> str:
    return f"FAIRLEAD_{name.upper()}"


def _parse(name: str, source: str, value: Any) -> Any:
    kind = {"state_dir": _path, "cache_dir": _path, "local": _flag}.get(name) or _NUMBERS.get(name, str)
    try:
        return kind(value)
    except ValueError:
        raise UsageError(f"{source} is {value!r}, which is no {'number' if name in _NUMBERS else 'value'} for it.") from None


def _path(value: Any) -> Path:
    return Path(value).absolute()


def _amount(value: Any) -> float:
    said = float(value)
    if not math.isfinite(said) or said < 0:
        raise ValueError
    return said


def _flag(value: Any) -> bool:
    said = str(value).lower()
    if said not in ("1", "0", "true", "false"):
        raise ValueError
    return said in ("1", "true")


NOT_REMEMBERED = ("state_dir", "local", "managed_by", "log_file")
_DURATIONS = ("lease_seconds", "sweep_hours", "keep_contents_days", "keep_uploads_days", "keep_caches_days", "keep_jobs_days")
_AMOUNTS = ("keep_layers_gb",)
_NUMBERS: dict[str, Any] = {
    **dict.fromkeys(("port", "max_body", "log_bytes", "log_files", "workers", "batch_jobs"), int),
    **dict.fromkeys((*_DURATIONS, *_AMOUNTS), _amount),
}

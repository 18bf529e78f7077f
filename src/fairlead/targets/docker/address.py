"""Where the engine is: what was told, else DOCKER_HOST, else the context of the Docker client, else the sockets that Docker and Podman make.

Contract: the Docker client's environment (DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, DOCKER_CONFIG, DOCKER_CONTEXT) and its contexts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fairlead.errors import UsageError

DEFAULT = "/var/run/docker.sock"
SCHEMES = ("unix", "tcp", "http", "https", "ssh")


@dataclass(frozen=True, kw_only=True)
class Address:
    """`certificates`: folder of ca.pem, cert.pem and key.pem; None: without TLS. `verifies`: whether the engine's certificate is checked."""

    url: str
    certificates: Path | None = None
    verifies: bool = True

    @property
    def is_local(self) -> bool:
        """Whether ports that containers publish on 127.0.0.1 are ports of this machine."""
        return self.url.startswith("unix://")

    @property
    def hostname(self) -> str:
        return "127.0.0.1" if self.is_local else urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def socket(self) -> Path | None:
        return Path(self.url.removeprefix("unix://")) if self.is_local else None


def find(told: str = "", environment: Mapping[str, str] = os.environ) -> Address:
    """Asks no engine. Raises UsageError for an address that is none."""
    if told:
        return _address(told, environment)
    if environment.get("DOCKER_HOST") and not environment.get("DOCKER_CONTEXT"):
        return _address(environment["DOCKER_HOST"], environment)
    return _of_context(environment) or Address(url=f"unix://{_socket(environment)}")


def _address(url: str, environment: Mapping[str, str]) -> Address:
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES or not url.partition("://")[2]:
        raise UsageError(f"{url} is no address of a container engine; write unix:///path/of/socket, tcp://host:port or ssh://user@host.")
    verifies = bool(environment.get("DOCKER_TLS_VERIFY"))
    if scheme not in ("tcp", "https") or not (verifies or environment.get("DOCKER_CERT_PATH")):
        return Address(url=url)
    certificates = environment.get("DOCKER_CERT_PATH") or str(Path(environment.get("HOME") or "~").expanduser() / ".docker")
    return Address(url=url, certificates=Path(certificates), verifies=verifies)


def _of_context(environment: Mapping[str, str]) -> Address | None:
    folder = Path(environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or "~").expanduser() / ".docker")
    name = environment.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext") or "default"
    if name == "default":
        return None
    digest = hashlib.sha256(str(name).encode()).hexdigest()
    endpoint = _read(folder / "contexts" / "meta" / digest / "meta.json").get("Endpoints", {}).get("docker", {})
    if not endpoint.get("Host"):
        raise UsageError(f"The Docker context {name!r} names no engine; choose another with `docker context use`, or name the engine with --docker-host.")
    tls = folder / "contexts" / "tls" / digest / "docker"
    return Address(url=endpoint["Host"], certificates=tls if tls.is_dir() else None, verifies=not endpoint.get("SkipTLSVerify"))


def _socket(environment: Mapping[str, str]) -> str:
    """The first that is there; of a user's own engine before that of the system's Podman."""
    own = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    candidates = (DEFAULT, f"{own}/docker.sock", f"{own}/podman/podman.sock", "/run/podman/podman.sock")
    return next((path for path in candidates if _is_there(path)), DEFAULT)


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # in a folder that is not ours to look into
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}

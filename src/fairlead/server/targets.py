"""Where this server can run services. No engine is asked before something is to run there, so a server starts as quickly without one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from fairlead.errors import FairleadError, Unavailable, UsageError
from fairlead.images.archive import docker_archive
from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Router
from fairlead.server.settings import Settings
from fairlead.stores import Store
from fairlead.targets.docker import DockerTarget, Engine, find
from fairlead.targets.docker.faults import unreachable
from fairlead.targets.local import LocalTarget
from fairlead.targets.types import Target

ELSEWHERE = "The target `docker` needs a container engine of this machine, and {where} is another: use the target `container`, or name one with --docker-host."
EXTRA = "Services in containers need Python packages that are not installed here: pip install 'fairlead[docker,router]'."


def targets_of(settings: Settings, store: Store) -> dict[str, Target]:
    """By name: those of containers where there is an engine, where one was named, or where services have run before."""
    found: dict[str, Target] = {"local": LocalTarget(settings.state_dir)}
    for name, make in MAKERS.items():
        try:
            found[name] = make(settings, store)
        except FairleadError:
            continue
    return found


def used_here(settings: Settings, store: Store) -> tuple[dict[str, LocalTarget | DockerTarget], dict[str, str]]:
    """Those that have run services on this machine, by name; and, of those that cannot be asked now, why."""
    found: dict[str, LocalTarget | DockerTarget] = {"local": LocalTarget(settings.state_dir)}
    absent: dict[str, str] = {}
    for name, make in MAKERS.items():
        if (settings.state_dir / name).is_dir():
            try:
                found[name] = make(settings, store)
            except FairleadError as error:
                absent[name] = str(error)
    return found, absent


def why_absent(settings: Settings, store: Store, name: str) -> str:
    """A sentence for a target that `targets_of` has left out; "" for names that are none."""
    try:
        if name in MAKERS:
            MAKERS[name](settings, store)
    except FairleadError as error:
        return str(error)
    return ""


def lacks(target: Target) -> str:
    """Why nothing can run there now, and what to do; "" when something can, as far as one can say without waiting."""
    said: Callable[[], str] | None = getattr(target, "lacks", None)
    return said() if said is not None else ""


def lacking(settings: Settings, store: Store, targets: Mapping[str, Target]) -> dict[str, str]:
    """Of all targets by name, also of those that were left out: what each lacks now."""
    absent = {name: why_absent(settings, store, name) for name in MAKERS if name not in targets}
    return {name: lacks(target) for name, target in targets.items()} | {name: why for name, why in absent.items() if why}


def refuse_lacking(settings: Settings, store: Store, targets: Mapping[str, Target], name: str) -> None:
    """Raises UsageError where nothing can run, before it is written down that something should."""
    if name in targets:
        why = lacks(targets[name])
    else:
        why = why_absent(settings, store, name) or f"It runs services on {', '.join(sorted(targets))}."
    if why:
        raise UsageError(f"This server cannot run services on the target {name} now. {why} `fairlead env show` says more; --target local needs no engine.")


def _docker(settings: Settings, store: Store) -> DockerTarget:
    """Replicas behind a router of this machine."""
    folder = settings.state_dir / "docker"
    engine = _engine(settings, folder)
    if not engine.address.is_local:
        raise Unavailable(ELSEWHERE.format(where=engine.where))
    return _target(folder, engine, EnvoyRouter(settings.state_dir / "router"), store)


def _container(settings: Settings, store: Store) -> DockerTarget:
    """One container, here or elsewhere."""
    folder = settings.state_dir / "container"
    return _target(folder, _engine(settings, folder), None, store)


def _target(folder: Path, engine: Engine, router: Router | None, store: Store) -> DockerTarget:
    return DockerTarget(folder, engine, router, lambda image, known: docker_archive(store, image.digest, image.name, known))


def _engine(settings: Settings, folder: Path) -> Engine:
    if importlib.util.find_spec("docker") is None:
        raise Unavailable(EXTRA)
    address = find(settings.docker_host)
    is_named = bool(settings.docker_host or os.environ.get("DOCKER_HOST"))
    if not (is_named or folder.is_dir() or address.socket is None or address.socket.exists()):
        raise unreachable(address.url, FileNotFoundError())
    return Engine(address)


MAKERS: dict[str, Callable[[Settings, Store], DockerTarget]] = {
    "container": _container,
    "docker": _docker,
}

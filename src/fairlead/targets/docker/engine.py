"""One container engine, Docker or Podman: a thin layer over the Docker API, version 1.41 or later, with a timeout on every call.

Each call is logged, at the level debug, as the command that a person would have typed; what is secret goes through `put` and is in none of them.
Errors are FairleadErrors with one sentence; `Unavailable` is the engine's silence, `NotFound` a container that is gone.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.errors import BootFailure, Conflict, NotFound, Unavailable
from fairlead.images.archive import chain_ids
from fairlead.targets.docker import faults
from fairlead.targets.docker.address import Address
from fairlead.targets.docker.blueprint import Blueprint
from fairlead.targets.docker.ssh import Bridge
from fairlead.targets.types import Image

LOG = logging.getLogger("fairlead.targets.docker")
TIMEOUT = 30.0  # seconds without a byte; starting and removing are slow on busy disks
MOST_KNOWN = 100  # images whose layers are asked for


@dataclass(frozen=True, kw_only=True)
class Found:
    """A container as a list shows it. `state`: created, running, paused, restarting, removing, exited, dead. `status`: for people, with its health."""

    id: str
    name: str
    state: str
    status: str
    labels: Mapping[str, str]
    created: float  # seconds since 1970

    @property
    def short(self) -> str:
        return self.id[:12]


@dataclass(frozen=True, kw_only=True)
class About:
    """An engine and its machine. `folder`: where it keeps images, on that machine. `memory`: bytes."""

    product: str
    version: str
    folder: str
    cores: int
    memory: int
    runtimes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a container ended. `error`: what the engine says where it could not start it."""

    code: int
    is_out_of_memory: bool
    error: str


class Engine:
    """Connects when it is first asked, and again after it was away. May be used by several threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._client: Any = None
        self._bridge: Bridge | None = None

    @property
    def where(self) -> str:
        return self.address.url

    def check(self) -> None:
        """Raises Unavailable with the reason and the cure."""
        with self._asked("answer", "version") as api:
            api.ping()

    def about(self) -> About:
        """Raises Unavailable as `check` does."""
        with self._asked("answer", "info") as api:
            version, info = api.version(), api.info()
        parts = [str(each.get("Name", "")) for each in version.get("Components") or ()]
        return About(
            product="Podman" if any("podman" in each.lower() for each in parts) else "Docker",
            version=str(version.get("Version", "")),
            folder=str(info.get("DockerRootDir") or ""),
            cores=int(info.get("NCPU") or 0),
            memory=int(info.get("MemTotal") or 0),
            runtimes=tuple(sorted(info.get("Runtimes") or {})),
        )

    def knock(self) -> None:
        """As `check`, without waiting for an answer: whether somebody listens who lets us in; nothing is known of an engine elsewhere."""
        with faults.told(self.where, "answer", str):
            _knock(self.address)

    # Images.
    def find_image(self, image: Image) -> str | None:
        """How the engine calls it: by its configuration or, where it keeps images as they were stored, by its manifest."""
        for digest in (image.id, image.digest):
            with contextlib.suppress(NotFound), self._asked("look for an image", "image", "inspect", f"sha256:{digest}") as api:
                return str(api.inspect_image(f"sha256:{digest}")["Id"])
        return None

    def layers(self) -> set[str]:
        """Chain ids, plain hex, of the layers of the images that it has: each counts on top of the same others only."""
        with self._asked("list its images", "images", "--no-trunc") as api:
            found = api.images()
        known: set[str] = set()
        for each in found[:MOST_KNOWN]:
            with contextlib.suppress(NotFound, BootFailure), self._asked("look at an image", "image", "inspect", each["Id"]) as api:
                known |= set(chain_ids(layer.removeprefix("sha256:") for layer in api.inspect_image(each["Id"])["RootFS"].get("Layers") or ()))
        return known

    def load(self, archive: Iterable[bytes], name: str) -> None:
        """archive: what `docker save` writes, or an OCI layout beside it."""
        with self._asked(f"load the image {name}", "load") as api:
            said = [each for each in api.load_image(iter(archive)) if "error" in each]
        if said:
            raise faults.of_answer(self.where, f"load the image {name}", 500, str(said[0]["error"]))

    def remove_image(self, image: Image) -> bool:
        """Whether it is gone. One that containers have, that other images are made of, or that somebody gave a name of his own stays."""
        found = self.find_image(image)
        if found is None:
            return True
        ours = {image.name, f"localhost/{image.name}", f"docker.io/library/{image.name}"}  # as Docker and Podman write it
        with contextlib.suppress(NotFound, Conflict), self._asked("remove an image", "image", "rm", found) as api:
            if ours.issuperset(api.inspect_image(found).get("RepoTags") or ()):
                api.remove_image(found)
                return True
        return False

    # Containers.
    def containers(self, labels: Mapping[str, str]) -> list[Found]:
        """Of all states, the oldest first."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        with self._asked("list containers", "ps", "-a", "--no-trunc", *(f"--filter=label={each}" for each in wanted)) as api:
            listed = api.containers(all=True, filters={"label": wanted})
        return sorted((_found(each) for each in listed), key=lambda each: (each.created, each.name))

    def create(self, blueprint: Blueprint) -> str:
        """Its id. Raises NameTaken, NotFound for an image that is not there, BootFailure."""
        with self._asked(f"create the container {blueprint.name}", *blueprint.command()) as api:
            return str(api.create_container_from_config(blueprint.config(), blueprint.name)["Id"])

    def start(self, container: str) -> None:
        with self._asked("start a container", "start", container) as api:
            api.start(container)

    def stop(self, container: str, seconds: int) -> None:
        """SIGTERM, and SIGKILL after those seconds; waits for the end. Silent when it has ended, or is gone."""
        with contextlib.suppress(NotFound), self._asked("stop a container", "stop", f"--time={seconds}", container) as api:
            api.stop(container, timeout=seconds)

    def keep_running(self, container: str) -> None:
        """From now on the engine starts it again when it ends, also after a reboot. An engine that cannot is forgiven: whoever observes does it then."""
        with contextlib.suppress(NotFound, BootFailure), self._asked("change a container", "update", "--restart=unless-stopped", container) as api:
            api.update_container(container, restart_policy={"Name": "unless-stopped", "MaximumRetryCount": 0})

    def remove(self, container: str) -> None:
        with contextlib.suppress(NotFound, Conflict), self._asked("remove a container", "rm", "--force", "--volumes", container) as api:
            api.remove_container(container, force=True, v=True)

    def ending(self, container: str) -> Ending:
        """Raises NotFound."""
        with self._asked("look at a container", "inspect", container) as api:
            state = api.inspect_container(container)["State"]
        return Ending(code=state.get("ExitCode", 0), is_out_of_memory=bool(state.get("OOMKilled")), error=str(state.get("Error") or ""))

    # Files in volumes.
    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        flags = (f"--label={key}={value}" for key, value in labels.items())
        with self._asked(f"make the volume {name}", "volume", "create", *flags, name) as api:
            api.create_volume(name, labels=dict(labels))

    def volumes(self, labels: Mapping[str, str]) -> list[str]:
        wanted = [f"{name}={value}" for name, value in labels.items()]
        with self._asked("list volumes", "volume", "ls", *(f"--filter=label={each}" for each in wanted)) as api:
            return [each["Name"] for each in api.volumes(filters={"label": wanted})["Volumes"] or ()]

    def remove_volume(self, name: str) -> None:
        with contextlib.suppress(NotFound, Conflict), self._asked("remove a volume", "volume", "rm", name) as api:
            api.remove_volume(name)

    def put(self, container: str, folder: str, archive: bytes) -> None:
        """archive: a tar that is unpacked in that folder of the container, which may be stopped; owners and modes as it says."""
        with self._asked("copy files into a container", "cp", "--archive", "-", f"{container}:{folder}") as api:
            if not api.put_archive(container, folder, archive):
                raise BootFailure(f"The container engine could not copy files into {container[:12]}.", cause="engine-failed")

    def get(self, container: str, path: str) -> bytes | None:
        """A tar of that file; None when it or the container is not there. The container may have ended."""
        with contextlib.suppress(NotFound, Conflict), self._asked("copy files out of a container", "cp", f"{container}:{path}", "-") as api:
            chunks, _ = api.get_archive(container, path)
            return b"".join(chunks)
        return None

    def log(self, container: str, *, tail: int | None = None, since: float | None = None) -> Iterator[bytes]:
        """Pieces of it, oldest first: a time, a blank, and a line; a line of more than 16 KiB comes in several, of which the last ends it."""
        flags = (*((f"--tail={tail}",) if tail is not None else ()), *((f"--since={since:.9f}",) if since else ()))
        with contextlib.suppress(NotFound, Conflict), self._asked("read a log", "logs", "--timestamps", *flags, container) as api:
            yield from api.logs(container, stream=True, follow=False, timestamps=True, tail="all" if tail is None else tail, since=since or None)

    # How it is asked.
    @contextlib.contextmanager
    def _asked(self, doing: str, *command: str) -> Iterator[Any]:
        LOG.debug("%s", shlex.join(("docker", *(("--host", self.where) if not self.address.is_local else ()), *command)))
        try:
            with faults.told(self.where, doing, self._last_words):
                yield self._connected()
        except Unavailable:
            self._client = None
            raise

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                _knock(self.address)
                self._client = _client(self.address, self._through())
            return self._client

    def _last_words(self) -> str:
        """Behind SSH, what its client says tells more than that the connection ended."""
        return self._bridge.why() if self._bridge else ""

    def _through(self) -> str:
        if not self.where.startswith("ssh://"):
            return self.where
        if self._bridge is None:
            self._bridge = Bridge(self.where)
        return f"unix://{self._bridge.path}"


def _knock(address: Address) -> None:
    """The library leaves a socket open where nobody listens. Raises OSError."""
    if address.socket is not None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT)
            sock.connect(str(address.socket))


def _client(address: Address, url: str) -> Any:
    import docker

    class Client(docker.APIClient):  # type: ignore[misc] # it has no types
        def _disable_socket_timeout(self, _socket: Any) -> None:
            """The library lifts it for streams; nothing here follows one."""

        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            """REQUESTS_CA_BUNDLE and its like are for other hosts: the engine's certificate is held against its own ca.pem, or not at all."""
            return super().merge_environment_settings(url, proxies, stream, self.verify if verify is None else verify, cert)

    pem = _certificates(address)
    tls = docker.TLSConfig(client_cert=tuple(pem[:2]), ca_cert=pem[2], verify=address.verifies) if pem else False
    return Client(base_url=url, version="auto", timeout=TIMEOUT, tls=tls)


def _certificates(address: Address) -> list[str]:
    """Raises Unavailable, in words for people, for what the library would complain of in its own."""
    folder = address.certificates
    if folder is None:
        return []
    for name in ("cert.pem", "key.pem", "ca.pem"):
        if not (folder / name).is_file():
            said = f"The container engine at {address.url} is spoken to with TLS, and there is no file {name} in {folder}"
            raise Unavailable(f"{said}: put it there, or say where it is with DOCKER_CERT_PATH.", cause="engine-failed")
    return [str(folder / name) for name in ("cert.pem", "key.pem", "ca.pem")]


def _found(listed: Mapping[str, Any]) -> Found:
    names: Sequence[str] = listed.get("Names") or [""]
    return Found(
        id=listed["Id"],
        name=names[0].removeprefix("/"),
        state=str(listed.get("State") or "").lower(),
        status=str(listed.get("Status") or ""),
        labels=listed.get("Labels") or {},
        created=float(listed.get("Created") or 0),
    )

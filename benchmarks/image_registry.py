"""Debian's docker-registry for `benchmarks.images`, which is asked what it stores: what was sent to it is not taken from the sender's word."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks.docker_build import NAME, Plain
from benchmarks.servers import free_port

_TYPES = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, kw_only=True)
class RegistryServer:
    """`host`: 127.0.0.1:port, plain HTTP."""

    host: str
    folder: Path

    def stored(self) -> int:
        """Bytes of all contents: layers, configurations, manifests."""
        blobs = self.folder / "docker" / "registry" / "v2" / "blobs"
        return sum(each.stat().st_size for each in blobs.rglob("data"))

    def manifest(self, name: str, tag: str) -> Any:
        with urllib.request.urlopen(urllib.request.Request(f"http://{self.host}/v2/{name}/manifests/{tag}", headers={"Accept": _TYPES})) as answer:
            return json.load(answer)


@contextmanager
def running(room: Path) -> Iterator[RegistryServer]:
    folder = Path(mkdtemp(dir=room, prefix="registry-"))
    server = RegistryServer(host=f"127.0.0.1:{free_port()}", folder=folder)
    storage = f"storage: {{filesystem: {{rootdirectory: {folder}}}, maintenance: {{uploadpurging: {{enabled: false}}}}}}"
    (folder / "registry.yml").write_text(f"version: 0.1\nlog: {{level: warn}}\n{storage}\nhttp: {{addr: '{server.host}', secret: bench}}\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", folder / "registry.yml"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_for(server.host)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def docker_swap(registry: RegistryServer, plain: Plain, bundles: Sequence[Path]) -> int:
    """Bytes that the registry stores more when the plain image is built and pushed with the second bundle, having that with the first."""
    before = 0
    for turn, bundle in enumerate(bundles):
        before = registry.stored()
        plain.use(bundle)
        plain.build(f"swap-{turn}", wheels="folder", cached=True)
        _docker("tag", f"{NAME}:swap-{turn}", f"{registry.host}/plain:{turn}")
        _docker("push", "--quiet", f"{registry.host}/plain:{turn}")
        _docker("rmi", f"{registry.host}/plain:{turn}")
    return registry.stored() - before


def docker_sizes(registry: RegistryServer, name: str) -> list[int]:
    """Of its layers as docker compresses them for a registry."""
    pushed = f"{registry.host}/sizes:1"
    _docker("tag", name, pushed)
    _docker("push", "--quiet", pushed)
    _docker("rmi", pushed)
    return [layer["size"] for layer in registry.manifest("sizes", "1")["layers"]]


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True)


def _wait_for(host: str) -> None:
    for _ in range(500):
        try:
            with urllib.request.urlopen(f"http://{host}/v2/", timeout=5):
                return
        except OSError:
            time.sleep(0.02)
    raise SystemExit("docker-registry does not answer.")

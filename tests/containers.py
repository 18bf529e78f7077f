"""Real tools of the container world for tests: Docker's engine, Debian's registry, skopeo, and a base image that nobody pulled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.live import free_port
from tests.needs import IN_CI, require
from tests.waiting import until

REPO = Path(__file__).parents[1]
BASE = Path(os.environ.get("FAIRLEAD_TEST_BASE", REPO / ".base" / "base.tar"))
BASE_OF_IMAGES = {"FAIRLEAD_IMAGE_BASE": str(BASE)}
"""For a server: what its images are built upon."""


def require_engine() -> None:
    """A Docker that answers; without one the test is skipped by name here, and fails in CI."""
    require("docker")
    if subprocess.run(["docker", "version"], capture_output=True).returncode:
        _lacking("a running Docker engine (start dockerd)")


def require_base() -> Path:
    """The base image, a Docker archive that scripts/base-image makes."""
    if not BASE.is_file():
        _lacking("the base image for tests (scripts/base-image makes it)")
    return BASE


def base_layout(folder: Path) -> Path:
    """The base image as an OCI layout, written by skopeo; tagged `1`."""
    require("skopeo")
    archive = require_base()
    subprocess.run(["skopeo", "copy", "--quiet", f"docker-archive:{archive}", f"oci:{folder}:1"], check=True)
    return folder


@dataclass(frozen=True, kw_only=True)
class RegistryServer:
    """Debian's docker-registry. `host`: 127.0.0.1:port, plain HTTP."""

    host: str
    folder: Path
    log: Path

    def requests(self, method: str) -> list[str]:
        """Lines of its access log for that HTTP method."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if f'"{method} ' in line]


@contextmanager
def running_registry(folder: Path, *, auth: str = "") -> Iterator[RegistryServer]:
    """auth: lines of YAML for its `auth:` section."""
    require("docker-registry")
    host = f"127.0.0.1:{free_port()}"
    folder.mkdir(parents=True, exist_ok=True)
    config, log = folder / "registry.yml", folder / "registry.log"
    config.write_text(
        f"version: 0.1\nlog: {{level: warn, accesslog: {{disabled: false}}}}\n"
        f"storage:\n  filesystem: {{rootdirectory: {folder / 'data'}}}\n  delete: {{enabled: true}}\n  maintenance: {{uploadpurging: {{enabled: false}}}}\n"
        f"http: {{addr: '{host}', secret: test}}\n{auth}"
    )
    with log.open("wb") as out:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        until(lambda: _answers(host), "the registry to answer", timeout=20)
        yield RegistryServer(host=host, folder=folder, log=log)
    finally:
        process.terminate()
        process.wait(20)


def _answers(host: str) -> bool:
    try:
        return httpx2.get(f"http://{host}/v2/", trust_env=False).status_code in (200, 401)
    except httpx2.TransportError:
        return False


def _lacking(what: str) -> None:
    if IN_CI:
        pytest.fail(f"needs {what}; in CI every test runs.", pytrace=False)
    pytest.skip(f"needs {what}")

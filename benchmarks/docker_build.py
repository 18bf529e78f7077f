"""The yardstick of `benchmarks.images`: a plain Dockerfile with the same packages, the same server and the same bundle, built by BuildKit.

What it is given: the base is in the engine, pip comes as a wheel in the context, and every wheel lies in pip's own cache, which is mounted into the build.
`folder` is the stronger form, which few people write: the wheels lie in a mounted folder, and pip asks no index at all.
The builder's cache stays in the engine: `docker builder prune` clears it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import fairlead_scoring.bundle

from fairlead.images import build_settings
from fairlead.images.docker_build import find_builder
from fairlead.images.runtime import runtime_lock

NAME = "fairlead-bench/plain"
_PYTHON = "/usr/local/lib/python3.11/dist-packages"
_MOUNTS = (
    "--mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/build/ca.crt "
    "--mount=type=cache,id=fairlead-bench-pip,target=/root/.cache/pip --mount=type=cache,id=fairlead-bench-wheels,target=/wheels"
)
_PIP = "PIP_CERT=/build/ca.crt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore python3 /build/{wheel}/pip"
_INSTALL = "install --quiet --break-system-packages --require-hashes -r /build/requirements.lock"
_DOCKERFILE = f"""FROM {{base}}
ENV TURN={{turn}}
COPY {{wheel}} requirements.lock /build/
RUN {_MOUNTS} {_PIP} {{what}}
"""
_SERVICE = f"""COPY fairlead_scoring {_PYTHON}/fairlead_scoring
COPY bundle /opt/bundle
USER 10001
ENV HOME=/tmp
CMD ["python3", "-m", "fairlead_scoring", "serve", "/opt/bundle", "--host", "0.0.0.0"]
"""


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A context. `base`: name of an image in the engine; `folder`: where the context lies."""

    base: str
    folder: Path
    wheel: str
    command: str

    def use(self, bundle: Path) -> None:
        shutil.rmtree(self.folder / "bundle", ignore_errors=True)
        shutil.copytree(bundle, self.folder / "bundle")

    def fill_caches(self) -> None:
        """Each wheel into pip's cache and into the folder of wheels."""
        download = "download --quiet --require-hashes --only-binary :all: -d /wheels -r /build/requirements.lock"
        self._build("prepare", f"{download} && {_PIP.format(wheel=self.wheel)} {_INSTALL}", uuid.uuid4().hex, service=False)

    def build(self, tag: str, *, wheels: str = "cache", cached: bool = False) -> float:
        """Seconds. `wheels`: cache or folder; `cached`: layers are used again. A variable of its own makes all of them new (--no-cache would lose mounts)."""
        install = _INSTALL if wheels == "cache" else f"{_INSTALL} --no-index --find-links /wheels"
        return self._build(tag, install, "0" if cached else uuid.uuid4().hex)

    def _build(self, tag: str, what: str, turn: str, *, service: bool = True) -> float:
        text = _DOCKERFILE.format(base=self.base, wheel=self.wheel, what=what, turn=turn) + (_SERVICE if service else "")
        (self.folder / "Dockerfile").write_text(text)
        settings = self.folder.parent
        secrets = ["--secret", f"id=pip,src={settings / 'pip.conf'}", "--secret", f"id=ca,src={settings / 'ca.crt'}"]
        command = [self.command, "build", "--quiet", *secrets, "--tag", f"{NAME}:{tag}", str(self.folder)]
        started = time.perf_counter()
        done = subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"The plain Dockerfile cannot be built: {done.stderr[-800:]}")
        return time.perf_counter() - started


def plain(base: str, lock: str, pip: Path, room: Path) -> Plain:
    """`pip`: its wheel. Settings of this machine's package index are handed in as secrets and stay out of the image."""
    builder = find_builder()
    if builder.kind != "buildkit":
        raise SystemExit("No docker command here has BuildKit; Debian's docker.io has.")
    folder = room / "context"
    folder.mkdir()
    shutil.copy(pip, folder)
    (folder / "requirements.lock").write_text(lock + runtime_lock())
    source = Path(fairlead_scoring.bundle.__file__).parent
    shutil.copytree(source, folder / "fairlead_scoring", ignore=shutil.ignore_patterns("__pycache__"))
    settings = build_settings.of_this_machine()
    (room / "pip.conf").write_text(settings.pip)
    (room / "ca.crt").write_text(settings.authorities)
    return Plain(base=base, folder=folder, wheel=pip.name, command=builder.command)

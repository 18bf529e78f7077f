"""BentoML's `containerize` for `benchmarks.images`, upon the same base.

Its Dockerfile expects more of a base than ours does, and fetches what it does not find. So that it pulls no image, and to its advantage, it gets a base that
has all of it: bash as sh, a compiler, git, uv, and this machine's certificates (a throw-away image). It mounts no cache: uv fetches every wheel in every build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.peers import HERE, python_of
from fairlead.environments.requirement_lines import read_requirements
from fairlead.environments.uv_command import find_uv
from fairlead.images import build_settings
from fairlead.images.docker_build import find_builder

BASE = "fairlead-bench/bentoml-base:1"
TAG = "fairlead-bench/bentoml:1"
_BASE = """FROM {base}
COPY uv /usr/local/bin/uv
COPY ca.crt /bench/ca.crt
ENV SSL_CERT_FILE=/bench/ca.crt PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN ln -sf bash /bin/sh && apt-get update -qq && apt-get install -qq -y --no-install-recommends passwd build-essential git gnupg2
ENV TURN={turn}
"""
_FILE = f"""service: "bentoml_app:Scorer"
include: ["*.py"]
python: {{requirements_txt: "requirements.txt"}}
docker: {{base_image: "{BASE}"}}
"""


def bentoml(base: str, lock: str, room: Path) -> dict[str, Any]:
    """Seconds of `bentoml containerize` without layers and with all of them. The packages are those of the lock, and BentoML."""
    environment = _environment(room)
    folder = room / "bento"
    folder.mkdir()
    shutil.copy(HERE / "apps" / "bentoml_app.py", folder)
    own = (HERE / "requirements" / "bentoml.txt").read_text()
    more = [each for each in _pinned(lock) if f"\n{each.partition('==')[0]}==" not in own]
    (folder / "requirements.txt").write_text("\n".join([own, *more, ""]))
    (folder / "bentofile.yaml").write_text(_FILE)
    try:
        _prepare(base, room / "bento-base", environment)
        bento = _run(["bentoml", "build", "--output", "tag", "."], folder, environment).strip().rpartition("__tag__:")[2]
        return {f"{state}_s": _timed(["bentoml", "containerize", bento, "-t", TAG], folder, environment) for state in ("fresh", "again")}
    finally:
        subprocess.run(["docker", "rmi", "--force", TAG, BASE], check=False, capture_output=True)


def _environment(room: Path) -> dict[str, str]:
    programs = f"{python_of('bentoml').parent}:{Path(find_builder().command).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "BENTOML_HOME": str(room / "bentoml"), "BENTOML_DO_NOT_TRACK": "true", "BENCH_MODEL": "", "DOCKER_BUILDKIT": "1"}


def _prepare(base: str, folder: Path, environment: dict[str, str]) -> None:
    folder.mkdir()
    shutil.copy(find_uv(), folder / "uv")
    (folder / "ca.crt").write_text(build_settings.of_this_machine().authorities)
    (folder / "Dockerfile").write_text(_BASE.format(base=base, turn=uuid.uuid4().hex))
    _run(["docker", "build", "--quiet", "--tag", BASE, "."], folder, environment)


def _pinned(lock: str) -> list[str]:
    return [each.partition(" ")[0] for each in read_requirements(lock).requirements]


def _timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    _run(command, folder, environment)
    return time.perf_counter() - started


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} fails: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout

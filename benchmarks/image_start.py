"""Time to ready for `benchmarks.images`: a container, beside the same runtime as a local process and an empty `docker run`."""

from __future__ import annotations

import http.client
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fairlead_scoring.bundle

from benchmarks.servers import free_port
from fairlead.environments.uv_command import find_uv
from fairlead.images.runtime import runtime_lock

PYTHON = "/usr/bin/python3.11"  # Debian's, as in the base
RUN = ("--read-only", "--tmpfs", "/tmp", "--env", "FAIRLEAD_UNSAFE_FORMATS=allow")  # noqa: S108 - of the container


def measure(image: str, bundle: Path, lock: str, room: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds, medians; `ratio`: container to (local + 1.2 empty run), within a round."""
    user, runtime = _environment(room / "user-env", lock), _environment(room / "runtime-env", runtime_lock())
    source = Path(fairlead_scoring.bundle.__file__).parent
    shutil.copytree(source, runtime.parents[1] / "lib/python3.11/site-packages/fairlead_scoring", ignore=shutil.ignore_patterns("__pycache__"))
    local = [str(runtime), "-m", "fairlead_scoring", "serve", str(bundle), "--python", str(user)]
    seen: dict[str, list[float]] = {"local": [], "empty": [], "container": []}
    loads = []
    for turn in range(-1, rounds):  # the first fills the page cache and writes .pyc
        loads.append(os.getloadavg()[0])
        took = {"local": _local(local), "empty": _empty(image), "container": _container(image)}
        for name, seconds in took.items() if turn >= 0 else ():
            seen[name].append(seconds * 1000)
    ratio = statistics.median(c / (p + 1.2 * e) for c, p, e in zip(seen["container"], seen["local"], seen["empty"], strict=True))
    return {"ratio": ratio, **{f"{name}_ms": statistics.median(values) for name, values in seen.items()}, "load_before": loads[1:]}


def _environment(folder: Path, lock: str) -> Path:
    """Its python; modules are compiled, as in the image."""
    (folder.with_suffix(".lock")).write_text(lock)
    subprocess.run([find_uv(), "venv", "--quiet", "--python", PYTHON, folder], check=True)
    install = ["pip", "install", "--quiet", "--compile-bytecode", "--require-hashes", "--python", folder / "bin" / "python"]
    subprocess.run([find_uv(), *map(str, install), "-r", folder.with_suffix(".lock")], check=True)
    return folder / "bin" / "python"


def _local(command: Sequence[str]) -> float:
    port = free_port()
    environment = {**os.environ, "FAIRLEAD_UNSAFE_FORMATS": "allow"}
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return _until_ready(port, started)
    finally:
        process.terminate()
        process.wait(30)


def _empty(image: str) -> float:
    name = f"fairlead-bench-{os.getpid()}"
    started = time.perf_counter()
    subprocess.run(["docker", "run", "--name", name, image, "true"], check=True, capture_output=True)
    took = time.perf_counter() - started
    subprocess.run(["docker", "rm", name], check=True, capture_output=True)
    return took


def _container(image: str) -> float:
    port, name = free_port(), f"fairlead-bench-{os.getpid()}"
    started = time.perf_counter()
    subprocess.run(["docker", "run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:5001", *RUN, image], check=True, capture_output=True)
    try:
        return _until_ready(port, started)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)


def _until_ready(port: int, started: float) -> float:
    while not _is_ready(port):
        if time.perf_counter() - started > 120:
            raise SystemExit("The service is not ready after two minutes.")
        time.sleep(0.002)
    return time.perf_counter() - started


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

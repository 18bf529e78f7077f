"""Start, memory and disk: import CPU of the front, exec to ready of the whole tree, PSS after 1,000 requests, installed size.

python -m benchmarks.startup [--rounds 7] [--only imports,ready,memory,size]
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import models, results
from benchmarks.peers import ROOT, python_of
from benchmarks.processes import Tree, pss_of
from benchmarks.servers import APPS, BY_NAME, LOGS, THREADS, free_port, running

YARDSTICK = "import uvicorn, uvloop, httptools, starlette.applications, starlette.routing, starlette.responses"
FRONT = "import fairlead_scoring.front.main"
HOLDER = "import sys, joblib; model = joblib.load(sys.argv[1]); model.predict([[0.0] * 30]); print('held', flush=True); input()"
REQUESTS = 1000
MIB = 1024 * 1024


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=",".join(PARTS))
    options = parser.parse_args(arguments)
    records = [{"part": part, **PARTS[part](options.rounds)} for part in options.only]
    for record in records:
        print(record, flush=True)
    results.write("startup", records)


def imports(rounds: int) -> dict[str, Any]:
    """CPU milliseconds of the imports alone: an empty interpreter's are taken off."""
    seen: dict[str, list[float]] = {"front": [], "yardstick": []}
    ratios = []
    for turn in range(-1, rounds):  # the first fills the page cache and writes .pyc
        own = _cpu_of_code("fairlead", FRONT) - _cpu_of_code("fairlead", "pass")
        theirs = _cpu_of_code("asgi", YARDSTICK) - _cpu_of_code("asgi", "pass")
        if turn >= 0:
            seen["front"].append(own * 1000)
            seen["yardstick"].append(theirs * 1000)
            ratios.append(own / theirs)
    return {"ratio": statistics.median(ratios), **{f"{name}_ms": statistics.median(values) for name, values in seen.items()}}


def ready(rounds: int) -> dict[str, Any]:
    """Exec to the first 200 on `GET /`, without a model: CPU of the whole tree, and wall time."""
    seen: dict[str, list[tuple[float, float]]] = {"fairlead": [], "azureml": []}
    for turn in range(-1, rounds):
        for name, values in seen.items():
            measured = _exec_to_ready(name)
            if turn >= 0:
                values.append(measured)
    pairs = zip(seen["fairlead"], seen["azureml"], strict=True)
    record: dict[str, Any] = {"cpu_ratio": statistics.median(own[0] / theirs[0] for own, theirs in pairs)}
    for name, values in seen.items():
        record[f"{name}_cpu_ms"] = statistics.median(cpu for cpu, _ in values) * 1000
        record[f"{name}_wall_ms"] = statistics.median(wall for _, wall in values) * 1000
    return record


def memory(rounds: int) -> dict[str, Any]:
    """PSS of the whole tree, one worker, after 1,000 requests, less that of a Python that holds the same model."""
    del rounds
    rows = models.rows()
    with running(BY_NAME["fairlead"], "lr", rows[:1]) as server:
        for turn in range(REQUESTS):
            server.ask([rows[turn % len(rows)]])
        held = _holder_pss()
        tree = server.tree.pss_bytes()
    return {"tree_mib": tree / MIB, "holder_mib": held / MIB, "above_mib": (tree - held) / MIB}


def size(rounds: int) -> dict[str, Any]:
    """Bytes of the runtime and its dependencies as pip installs them, without .pyc."""
    del rounds
    with tempfile.TemporaryDirectory() as folder:
        install = [str(python_of("fairlead")), "-m", "pip", "install", "--quiet", "--no-compile", "--target", folder]
        subprocess.run([*install, str(ROOT / "scoring")], check=True)
        parts = {entry.name: _size(entry) for entry in Path(folder).iterdir()}
    return {"total_mib": sum(parts.values()) / MIB, "uvloop_mib": parts.get("uvloop", 0) / MIB}


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {"imports": imports, "ready": ready, "memory": memory, "size": size}


def _cpu_of_code(environment: str, code: str) -> float:
    process = subprocess.Popen([str(python_of(environment)), "-c", code], env={"PATH": "/usr/bin:/bin", **THREADS})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`{code}` failed in the environment of {environment}.")
    return usage.ru_utime + usage.ru_stime


def _exec_to_ready(name: str) -> tuple[float, float]:
    port = free_port()
    commands = {
        "fairlead": ["-m", "fairlead_scoring", "serve", "--entry-script", str(APPS / "trivial_score.py"), "--app-root", str(APPS)],
        "azureml": ["-m", "azureml_inference_server_http", "--entry_script", str(APPS / "trivial_score.py"), "--worker_count", "1"],
    }
    command = [str(python_of(name)), *commands[name], "--port", str(port)]
    env = {"PATH": "/usr/bin:/bin", "AML_APP_ROOT": str(APPS), **THREADS}
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"ready-{name}.out").open("wb") as log:
        begun = time.monotonic()
        tree = Tree(command, env=env, cwd=LOGS, log=log)
        try:
            while not _is_healthy(port):
                if tree.process.poll() is not None or time.monotonic() - begun > 60:
                    raise SystemExit(f"{name} did not become ready; read {LOGS}/ready-{name}.out.")
                time.sleep(0.01)
            return tree.cpu_seconds(), time.monotonic() - begun
        finally:
            tree.stop()


def _is_healthy(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def _holder_pss() -> int:
    command = [str(python_of("fairlead")), "-c", HOLDER, str(models.model_file("lr"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", **THREADS}) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"held\n":
            raise SystemExit("The model could not be loaded by a plain Python.")
        held = pss_of(holder.pid)
        holder.kill()
    return held


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    main(sys.argv[1:])

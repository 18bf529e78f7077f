"""How each peer is started, what it is sent, and where its answer holds the labels."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import models
from benchmarks.peers import HERE, PEERS, python_of
from benchmarks.processes import Tree

APPS = HERE / "apps"
LOGS = PEERS / "logs"
START_SECONDS = 120
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "--workers", "1")

Rows = Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """environment: the folder below .peers; command: arguments after its python, given model and port; method: Fairlead's
    default is predict_proba, and every peer here answers labels."""

    name: str
    environment: str
    command: Callable[[str, int], list[str]]
    path: str = "/score"
    key: str = "data"
    has_model: bool = True
    method: str = ""

    def body(self, rows: Rows) -> bytes:
        return json.dumps({self.key: rows, **({"method": self.method} if self.method else {})}).encode()


@dataclass(frozen=True)
class Server:
    peer: Peer
    port: int
    tree: Tree

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.peer.path}"

    def ask(self, rows: Rows) -> bytes:
        """One answer's body; URLError or HTTPError when there is none."""
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.url, self.peer.body(rows), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())


def _uvicorn(module: str) -> Callable[[str, int], list[str]]:
    return lambda model, port: ["-m", "uvicorn", f"{module}:app", "--app-dir", str(APPS), "--port", str(port), *UVICORN]


def _script(name: str, *more: str) -> Callable[[str, int], list[str]]:
    return lambda model, port: [str(APPS / name), str(port), *more]


def _azureml(model: str, port: int) -> list[str]:
    folder = models.model_file(model).parent
    entry = ["-m", "azureml_inference_server_http", "--entry_script", str(APPS / "azureml_score.py")]
    return [*entry, "--model_dir", str(folder), "--port", str(port), "--worker_count", "1"]


def _mlflow(model: str, port: int) -> list[str]:
    serve = ["-m", "mlflow", "models", "serve", "-m", str(models.mlflow_model(model)), "-h", "127.0.0.1"]
    return [*serve, "-p", str(port), "--env-manager", "local", "--workers", "1"]


def _bentoml(model: str, port: int) -> list[str]:
    serve = ["-m", "bentoml", "serve", "bentoml_app:Scorer", "--working-dir", str(APPS)]
    return [*serve, "--host", "127.0.0.1", "--port", str(port)]


def _fairlead(model: str, port: int) -> list[str]:
    log = LOGS / f"fairlead-{model}.jsonl"
    return ["-m", "fairlead", "serve", str(models.model_file(model)), "--port", str(port), "--log-file", str(log)]


def _compiled(model: str, port: int) -> list[str]:
    log = LOGS / f"fairlead-compiled-{model}.jsonl"
    return ["-m", "fairlead", "serve", str(models.compiled_bundle(model)), "--port", str(port), "--log-file", str(log)]


def _constant(model: str, port: int) -> list[str]:
    log = LOGS / "constant.jsonl"
    serve = ["-m", "fairlead_scoring", "serve", "--entry-script", str(APPS / "constant_score.py"), "--app-root", str(APPS)]
    return [*serve, "--port", str(port), "--log-file", str(log)]


ALL = (
    Peer(name="bare", environment="asgi", command=_uvicorn("asgi_bare"), has_model=False),
    Peer(name="fastapi", environment="fastapi", command=_uvicorn("fastapi_app")),
    Peer(name="azureml", environment="azureml", command=_azureml),
    Peer(name="litserve", environment="litserve", command=_script("litserve_app.py"), path="/predict"),
    Peer(name="litserve-batch", environment="litserve", command=_script("litserve_app.py", "batch"), path="/predict"),
    Peer(name="mlflow", environment="mlflow", command=_mlflow, path="/invocations", key="inputs"),
    Peer(name="bentoml", environment="bentoml", command=_bentoml),
    Peer(name="ray", environment="ray", command=_script("ray_app.py")),
    Peer(name="fairlead", environment="fairlead", command=_fairlead, method="predict"),
    Peer(name="fairlead-compiled", environment="fairlead", command=_compiled, method="predict"),
)
INLINE = Peer(name="inline", environment="asgi", command=_uvicorn("inline_app"))
BARE_CONTRACT = Peer(name="bare-contract", environment="asgi", command=_uvicorn("inline_app"), has_model=False)
CONSTANT = Peer(name="fairlead-constant", environment="fairlead", command=_constant, has_model=False)
BY_NAME = {peer.name: peer for peer in (*ALL, INLINE, BARE_CONTRACT, CONSTANT)}


@contextlib.contextmanager
def running(peer: Peer, model: str, rows: Rows) -> Iterator[Server]:
    """The peer, started, answering `rows` with status 200; ended with its whole tree on exit."""
    LOGS.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [str(python_of(peer.environment)), *peer.command(model, port)]
    with (LOGS / f"{peer.name}-{model}.out").open("wb") as log:
        server = Server(peer, port, Tree(command, env=_environment(peer, model), cwd=LOGS, log=log))
        try:
            wait_until_answering(server, rows)
            yield server
        finally:
            server.tree.stop()


def wait_until_answering(server: Server, rows: Rows) -> None:
    """SystemExit with the log's end when the server ends or does not answer in two minutes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.tree.process.poll() is None:
        try:
            server.ask(rows)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"{server.peer.name} does not answer at {server.url}; read the newest files in {LOGS}.")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _environment(peer: Peer, model: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    binaries = python_of(peer.environment).parent
    kept |= {"PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": str(binaries.parent), **THREADS}
    kept |= {"UVICORN_ACCESS_LOG": "false", "UVICORN_LOG_LEVEL": "warning", "AML_APP_ROOT": str(APPS)}
    kept |= {"MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "true", "RAY_USAGE_STATS_ENABLED": "0"}
    kept["XDG_CACHE_HOME"] = str(LOGS / "cache")
    if peer.has_model:
        kept["BENCH_MODEL"] = str(models.model_file(model))
    return kept


def labels_in(answer: bytes) -> list[int]:
    """[0, 1], {"predictions": [0, 1]} and {"output": [0, 1]} alike; ValueError for anything else."""
    value = json.loads(answer)
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    if not isinstance(value, list) or not all(isinstance(label, int) for label in value):
        raise ValueError(f"no list of labels in {answer[:200]!r}")
    return value


def log_of(peer: Peer, model: str) -> Path:
    return LOGS / f"{peer.name}-{model}.out"

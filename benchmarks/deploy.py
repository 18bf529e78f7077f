"""A deploy with a warm environment: from the accepted POST to the first 200 of /readyz, beside a bare process that imports and loads the same model.

python -m benchmarks.deploy [--rounds 9] [--trees 100]

Both in turn, on an otherwise quiet machine; the ratio is taken within a round, the median shown. The cold deploy before them is told, not compared:
it is uv's time to fetch, unpack and link packages.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from benchmarks import results
from benchmarks.servers import free_port
from fairlead.client.transport import Transport
from fairlead.schemas.services import NewService, Service

FAIRLEAD = Path(sys.executable).with_name("fairlead")
BARE = "import sys, joblib; model = joblib.load(sys.argv[1]); model.predict([[0.0] * 30]); print('ready', flush=True)"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--trees", type=int, default=100)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fairlead-deploy-") as folder:
        os.environ["FAIRLEAD_HOME"] = folder
        try:
            record = measure(Path(folder), options.rounds, options.trees)
        finally:
            subprocess.run([FAIRLEAD, "server", "stop"], check=False, capture_output=True)
    print(record, flush=True)
    results.write("deploy", [record])


def measure(folder: Path, rounds: int, trees: int) -> dict[str, Any]:
    model = _model(folder, trees)
    _fairlead("model", "register", model, "--name", "forest")
    started = time.perf_counter()
    _fairlead("deploy", "forest:1", "--name", "cold")
    cold = time.perf_counter() - started
    _fairlead("service", "delete", "cold")
    python = next((folder / "cache" / "environments").glob("*/bin/python"))
    told = json.loads(_fairlead("server", "status", "--json"))
    token = (folder / "state" / "owner.token").read_text(encoding="ascii").strip()
    seen: dict[str, list[float]] = {"deploy": [], "bare": []}
    with Transport(told["url"], token) as server:
        for turn in range(-1, rounds):  # the first fills caches
            bare, deploy = _bare(python, model), _deploy(server, f"warm-{turn + 1}")
            if turn >= 0:
                seen["bare"].append(bare * 1000)
                seen["deploy"].append(deploy * 1000)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(seen["deploy"], seen["bare"], strict=True))
    return {"trees": trees, "ratio": ratio, "cold_s": cold, **{f"{name}_ms": statistics.median(values) for name, values in seen.items()}}


def _model(folder: Path, trees: int) -> Path:
    rows, kinds = load_breast_cancer(return_X_y=True)
    path = folder / "forest.joblib"
    joblib.dump(RandomForestClassifier(n_estimators=trees, random_state=0).fit(rows, kinds), path)
    return path


def _bare(python: Path, model: Path) -> float:
    """Seconds until a process of the service's own environment has imported, loaded and predicted once."""
    started = time.perf_counter()
    with subprocess.Popen([python, "-c", BARE, model], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return time.perf_counter() - started


def _deploy(server: Transport, name: str) -> float:
    """Seconds from the accepted POST to the first 200 of /readyz. The service is deleted again."""
    port = free_port()
    server.create(Service, server.path("services"), NewService(name=name, models=["forest:1"], port=port))
    started = time.perf_counter()
    while not _is_ready(port):
        if time.perf_counter() - started > 120:
            raise SystemExit(f"{name} is not ready after two minutes: {server.get(Service, server.path('services', name)).message}")
        time.sleep(0.002)
    took = time.perf_counter() - started
    _fairlead("service", "delete", name)
    return took


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _fairlead(*arguments: str | Path) -> str:
    return subprocess.run([FAIRLEAD, *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(sys.argv[1:])

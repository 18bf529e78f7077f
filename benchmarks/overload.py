"""Ten times more than a service can do: how quick a refusal is, and what the refusals take from the work.

    python -m benchmarks.overload [--seconds 20] [--rounds 3]

The script works for 20 ms, so the service does at most 50 requests per second. `capacity` is what it does when it is just full (closed loop,
4 connections), `kept` the share of it that is still answered while ten times as much comes in at a fixed rate. Latencies count from when a request
was due. They are wall time: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.processes import Tree
from benchmarks.servers import CONSTANT, Server, free_port, wait_until_answering
from tests.traffic import Kind, Plan, Record, Traffic

WORK = 0.02
TIMES = 10
SCRIPT = f"import time\n\ndef init():\n    pass\n\ndef run(data):\n    time.sleep({WORK})\n    return [1]\n"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as port:
        rounds = [measure(port, options.seconds) for _ in range(options.rounds)]
    results.write("overload", [{name: statistics.median(each[name] for each in rounds) for name in rounds[0]}])


@contextlib.contextmanager
def service(folder: Path) -> Iterator[int]:
    (folder / "score.py").write_text(SCRIPT)
    port = free_port()
    command = [sys.executable, "-m", "fairlead_scoring", "serve", "--entry-script", "score.py", "--app-root", str(folder), "--port", str(port)]
    with (folder / "service.out").open("wb") as log:
        tree = Tree([*command, "--log-file", str(folder / "service.jsonl")], env={"PATH": "/usr/local/bin:/usr/bin:/bin"}, cwd=folder, log=log)
        try:
            wait_until_answering(Server(CONSTANT, port, tree), [[1.0]])
            yield port
        finally:
            tree.stop()


def measure(port: int, seconds: float) -> dict[str, Any]:
    full = _driven(Plan(port=port, connections=4, requests=round(seconds / WORK / 4)))
    flooded = _driven(Plan(port=port, connections=200, rate=TIMES / WORK, seconds=seconds, requests=1_000_000))
    if full.failed() or {(one.kind, one.status) for one in flooded.failed()} - {(Kind.STATUS, 429), (Kind.STATUS, 503)}:
        raise SystemExit(f"Requests failed: {full.explain()} {flooded.explain()}")
    refused = sorted(one.latency * 1000 for one in flooded.failed() if one.status == 429)
    said = {
        "capacity": _rate(full),
        "kept": _rate(flooded) / _rate(full),
        "refused": len(refused),
        "refusal_p50_ms": statistics.median(refused),
        "refusal_p99_ms": refused[len(refused) * 99 // 100],
    }
    print(", ".join(f"{name} {value:.2f}" for name, value in said.items()), flush=True)
    return said


def _driven(plan: Plan) -> Record:
    with Traffic(plan) as traffic:
        return traffic.wait()


def _rate(record: Record) -> float:
    """Answers per second."""
    good = len(record.outcomes) - len(record.failed())
    return good / (max(one.ended for one in record.outcomes) - min(one.due for one in record.outcomes))


if __name__ == "__main__":
    main(sys.argv[1:])

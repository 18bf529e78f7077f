"""Requests per CPU-second of the server's whole process tree, and p50/p99, of Fairlead and its peers.

python -m benchmarks.serving
python -m benchmarks.serving --peers fastapi,fairlead --models lr --connections 64 --seconds 5 --rounds 3
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from typing import Any

from benchmarks import models, results
from benchmarks.load import Load, load_of, press
from benchmarks.servers import ALL, BY_NAME, Peer, Server, running

REFERENCE = "fastapi"
MOST_CONNECTIONS = 256  # above that only ours


def main(arguments: list[str]) -> None:
    options = _options(arguments)
    records: list[dict[str, Any]] = []
    for model in options.models:
        peers = [BY_NAME[name] for name in options.peers]
        records += compare(peers, model, options.connections, seconds=options.seconds, rounds=options.rounds)
    results.write("serving", records)
    failed = [record for record in records if record["errors"]]
    if failed:
        raise SystemExit(f"{len(failed)} measurements have wrong answers or errors: see `errors` in the results.")


def compare(peers: list[Peer], model: str, connections: list[int], *, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """All peers are up together and are measured in turn, so each round has all of them under the same noise."""
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    rows = models.rows()
    with contextlib.ExitStack() as stack:
        servers: list[tuple[Server, Load]] = []
        for peer in peers:
            server = stack.enter_context(running(peer, model, rows[:1]))
            expected = [[label] for label in models.labels(model)] if peer.has_model else None
            servers.append((server, load_of(server, [[row] for row in rows], expected)))
        for server, load in servers:
            press(server, load, connections=max(connections), seconds=min(seconds, 2))  # warm-up
        for turn in range(rounds):
            for count in connections:
                for server, load in servers:
                    if count <= MOST_CONNECTIONS or server.peer.environment == "fairlead":
                        run = press(server, load, connections=count, seconds=seconds)
                        runs.setdefault((server.peer.name, count), []).append(run)
                        print(_line(turn, model, server.peer.name, count, run), flush=True)
    return [_record(model, name, count, runs) for name, count in runs]


def _record(model: str, name: str, count: int, runs: dict[tuple[str, int], list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians over the rounds; the ratio is taken within each round, then its median."""
    own, reference = runs[name, count], runs.get((REFERENCE, count))
    record: dict[str, Any] = {"model": model, "peer": name, "connections": count, "rounds": len(own)}
    for field in ("per_cpu_second", "cpu_us", "rps", "p50_ms", "p99_ms"):
        record[field] = statistics.median(run[field] for run in own)
    if reference:
        pairs = list(zip(own, reference, strict=True))
        record["ratio"] = statistics.median(mine["per_cpu_second"] / theirs["per_cpu_second"] for mine, theirs in pairs)
        record["p99_ratio"] = statistics.median(mine["p99_ms"] / theirs["p99_ms"] for mine, theirs in pairs)
    kinds = sorted({kind for run in own for kind in run["errors"]})
    record["errors"] = {kind: sum(run["errors"].get(kind, 0) for run in own) for kind in kinds}
    return record


def _line(turn: int, model: str, name: str, count: int, run: dict[str, Any]) -> str:
    numbers = f"{run['per_cpu_second']:9.0f}/CPU-s {run['rps']:8.0f}/s p50 {run['p50_ms']:.1f} p99 {run['p99_ms']:.1f} ms"
    trouble = f"  {run['errors']} {run['first_bad']}" if run["errors"] else ""
    return f"round {turn + 1} {model} c={count} {name:18} {numbers}{trouble}"


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [peer.name for peer in ALL]
    parser.add_argument("--peers", type=lambda text: text.split(","), default=names, help=",".join(names))
    parser.add_argument("--models", type=lambda text: text.split(","), default=["lr", "rf"], help="lr,rf")
    counts = [1, 8, 32, 64, 256]
    parser.add_argument("--connections", type=lambda text: [int(part) for part in text.split(",")], default=counts)
    parser.add_argument("--seconds", type=float, default=5, help="length of one run (5)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, interleaved (3)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.peers) - set(BY_NAME)) + sorted(set(options.models) - {"lr", "rf"})
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return options


if __name__ == "__main__":
    main(sys.argv[1:])

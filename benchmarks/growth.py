"""How the cost of a request grows with its rows, with the model's columns, and with connections.

python -m benchmarks.growth [--peers fairlead,fastapi] [--seconds 3] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import models, results
from benchmarks.load import load_of, press
from benchmarks.servers import BY_NAME, Rows, Server, running

ROWS = (1, 10, 100, 1000, 10_000)
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
FEW = 8  # connections, where rows and columns grow


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=lambda text: text.split(","), default=["fairlead", "fastapi"])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--by", type=lambda text: text.split(","), default=["rows", "columns", "connections"])
    options = parser.parse_args(arguments)
    records: list[dict[str, Any]] = []
    for name in options.peers:
        for axis in options.by:
            records += grow(name, axis, seconds=options.seconds, rounds=options.rounds)
    results.write("growth", records)


def grow(name: str, axis: str, *, seconds: float, rounds: int) -> list[dict[str, Any]]:
    if axis == "columns":
        records = []
        for columns in models.COLUMNS:
            row = [(number % 7) / 3 - 1 for number in range(columns)]
            with running(BY_NAME[name], f"lr-{columns}", [row]) as server:
                records.append(_point(server, [[row]], FEW, axis, columns, seconds=seconds, rounds=rounds))
        return records
    known = models.rows()
    with running(BY_NAME[name], "lr", known[:1]) as server:
        if axis == "rows":
            sizes = {count: [known[index % len(known)] for index in range(count)] for count in ROWS}
            return [_point(server, [part], FEW, axis, count, seconds=seconds, rounds=rounds) for count, part in sizes.items()]
        parts = [[row] for row in known]
        return [_point(server, parts, count, axis, count, seconds=seconds, rounds=rounds) for count in CONNECTIONS]


def _point(server: Server, parts: Sequence[Rows], connections: int, axis: str, value: int, *, seconds: float, rounds: int) -> dict[str, Any]:
    load = load_of(server, parts, None)
    press(server, load, connections=connections, seconds=1)  # warm-up
    length = seconds * 3 if axis == "rows" and value >= 1000 else seconds  # slow requests need longer runs
    runs = [press(server, load, connections=connections, seconds=length) for _ in range(rounds)]
    record: dict[str, Any] = {"peer": server.peer.name, "by": axis, "value": value, "connections": connections}
    record |= {field: statistics.median(run[field] for run in runs) for field in ("cpu_us", "rps", "p50_ms", "p99_ms")}
    record["errors"] = {kind: count for run in runs for kind, count in run["errors"].items()}
    trouble = f"  {record['errors']}" if record["errors"] else ""
    print(f"{server.peer.name} {axis} {value}: {record['cpu_us']:.0f} µs per request, p99 {record['p99_ms']:.1f} ms{trouble}", flush=True)
    return record


if __name__ == "__main__":
    main(sys.argv[1:])

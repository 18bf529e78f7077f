"""What the router costs: the same service with and without Envoy before it, as ratios.

    python -m benchmarks.router [--connections 1 16 64] [--seconds 5] [--rounds 5]

Both ways are measured in turn within a round, with one warm-up round. CPU is that of the service's tree, and with the router also Envoy's and
its keeper's. `service` is the price of a real request without a model; a model makes the router's share smaller.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.load import Load, load_of, press
from benchmarks.processes import Tree
from benchmarks.servers import APPS, CONSTANT, Server, free_port, wait_until_answering
from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Route, Upstream

ROWS = [[round(0.01 * (row + column), 2) for column in range(30)] for row in range(16)]
SERVE = ("-m", "fairlead_scoring", "serve", "--entry-script", str(APPS / "constant_score.py"), "--app-root", str(APPS))
HANDLE = "benchmark"
RATIOS = ("cpu_us", "p50_ms", "p99_ms", "rps")


class Routed(Tree):
    """The service's tree, and the router's two processes, which are nobody's children."""

    def __init__(self, service: Tree, router: EnvoyRouter) -> None:
        self.service = service
        self.process = service.process
        self.router = router

    def pids(self) -> list[int]:
        return [*self.service.pids(), *(int((self.router.folder / f"{name}.lock").read_text()) for name in ("envoy", "keeper"))]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, both_ways(Path(folder)) as (direct, routed):
        load = load_of(direct, [[row] for row in ROWS], None)
        if load_of(routed, [[row] for row in ROWS], None) != load:
            raise SystemExit("The router changes answers.")
        records = [measure(direct, routed, load, connections=count, seconds=options.seconds, rounds=options.rounds) for count in options.connections]
    results.write("router", records)


@contextlib.contextmanager
def both_ways(folder: Path) -> Iterator[tuple[Server, Server]]:
    port, before, router = free_port(), free_port(), EnvoyRouter(folder / "router")
    command = [sys.executable, *SERVE, "--port", str(port), "--log-file", str(folder / "service.jsonl")]
    with (folder / "service.out").open("wb") as log:
        tree = Tree(command, env={"PATH": "/usr/local/bin:/usr/bin:/bin"}, cwd=folder, log=log)
        try:
            direct = Server(CONSTANT, port, tree)
            wait_until_answering(direct, ROWS[:1])
            router.publish(Route(handle=HANDLE, host="127.0.0.1", port=before, upstreams=(Upstream(host="127.0.0.1", port=port),)))
            routed = Server(CONSTANT, before, Routed(tree, router))
            wait_until_answering(routed, ROWS[:1])
            yield direct, routed
        finally:
            tree.stop()
            router.end()


def measure(direct: Server, routed: Server, load: Load, *, connections: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Medians, and medians of the ratios of each round."""
    pairs = []
    for turn in range(-1, rounds):  # the first is for warming up
        pair = tuple(_press(server, load, connections, seconds) for server in (direct, routed))
        if turn >= 0:
            pairs.append(pair)
            shown = ", ".join(f"{name} {pair[0][name]:.1f} → {pair[1][name]:.1f}" for name in RATIOS)
            print(f"{connections} connections, round {turn + 1}: {shown}", flush=True)
    ratios = {f"{name}_ratio": statistics.median(pair[1][name] / pair[0][name] for pair in pairs) for name in RATIOS}
    return {"connections": connections, "direct": _medians([pair[0] for pair in pairs]), "routed": _medians([pair[1] for pair in pairs]), **ratios}


def _press(server: Server, load: Load, connections: int, seconds: float) -> dict[str, Any]:
    run = press(server, load, connections=connections, seconds=seconds)
    if run["errors"]:
        raise SystemExit(f"Wrong answers or errors at port {server.port}: {run['errors']} {run['first_bad']}")
    return run


def _medians(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in RATIOS}


if __name__ == "__main__":
    main(sys.argv[1:])

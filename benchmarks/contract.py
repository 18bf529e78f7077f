"""What the service itself costs: CPU per request by process, without a model, beside the bare handler.

    python -m benchmarks.contract [--connections 64] [--seconds 5] [--rounds 5]

The front's share (with the supervisor's) less the bare handler's is the price of ids, headers, log line, metrics, admission
and the hop to a worker. The worker's share is parsing, an empty run() and encoding. `bare-contract` is the same contract written by
hand on uvicorn, without a model; the compiled model is held against it, and against our own front alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import urllib.request
from typing import Any

from benchmarks import models, results
from benchmarks.load import Load, load_of, press
from benchmarks.processes import cpu_of
from benchmarks.servers import BY_NAME, Server, running

NAMES = ("bare", "bare-contract", "fairlead-constant", "fairlead-compiled")
MODEL = "lr"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-compiled", action="store_true", help="leave the compiled model out")
    options = parser.parse_args(arguments)
    names = [name for name in NAMES if not (options.without_compiled and name == "fairlead-compiled")]
    runs = measure(names, connections=options.connections, seconds=options.seconds, rounds=options.rounds)
    records = [_record(name, runs[name]) for name in names]
    results.write("contract", [*records, _verdict(runs)])


def measure(names: list[str], *, connections: int, seconds: float, rounds: int) -> dict[str, list[dict[str, Any]]]:
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    rows = models.rows()
    with contextlib.ExitStack() as stack:
        servers: list[tuple[Server, Load]] = []
        for name in names:
            server = stack.enter_context(running(BY_NAME[name], MODEL, rows[:1]))
            labels = [[label] for label in models.labels(MODEL)] if server.peer.has_model else None
            servers.append((server, load_of(server, [[row] for row in rows], labels)))
        for turn in range(-1, rounds):  # the first is for warming up
            for server, load in servers:
                run = by_role(server, load, connections=connections, seconds=seconds)
                if turn >= 0:
                    runs[server.peer.name].append(run)
                    print(f"round {turn + 1} {server.peer.name:18} {_shown(run)}", flush=True)
    return runs


def by_role(server: Server, load: Load, *, connections: int, seconds: float) -> dict[str, Any]:
    """press(), and µs per request of each kind of process."""
    pids = roles(server)
    before = {role: cpu_of(members) for role, members in pids.items()}
    run = press(server, load, connections=connections, seconds=seconds)
    if run["errors"]:
        raise SystemExit(f"{server.peer.name}: wrong answers or errors: {run['errors']} {run['first_bad']}")
    spent = {role: cpu_of(members) - before[role] for role, members in pids.items()}
    return {**run, "roles": {role: cpu / max(run["requests"], 1) * 1e6 for role, cpu in spent.items()}}


def roles(server: Server) -> dict[str, list[int]]:
    """Process ids by role; a peer's processes are all one role."""
    if server.peer.environment != "fairlead":
        return {"server": server.tree.pids()}
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/status", timeout=10) as answer:
        status = json.loads(answer.read())
    workers = [worker["pid"] for worker in status["workers"]]
    return {"front": [status["front_pid"]], "worker": workers, "supervisor": [status["supervisor_pid"]]}


def _record(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    shares = {role: statistics.median(run["roles"][role] for run in runs) for role in runs[0]["roles"]}
    return {"peer": name, "cpu_us": statistics.median(run["cpu_us"] for run in runs), "roles": shares}


def _verdict(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Ratios within each round, then their medians."""
    served = [run["roles"]["front"] + run["roles"]["supervisor"] for run in runs["fairlead-constant"]]
    bare = [run["cpu_us"] for run in runs["bare"]]
    verdict = {
        "peer": "verdict",
        "contract_over_bare": statistics.median((own - floor) / floor for own, floor in zip(served, bare, strict=True)),
    }
    if compiled := runs.get("fairlead-compiled"):
        pairs = zip(served, compiled, strict=True)
        verdict["compiled_of_front"] = statistics.median(own / run["cpu_us"] for own, run in pairs)
        hand = zip(runs["bare-contract"], compiled, strict=True)
        verdict["compiled_of_bare_and_contract"] = statistics.median(theirs["cpu_us"] / run["cpu_us"] for theirs, run in hand)
    print(json.dumps(verdict), flush=True)
    return verdict


def _shown(run: dict[str, Any]) -> str:
    return f"{run['cpu_us']:7.1f} µs per request: " + ", ".join(f"{role} {cpu:.1f}" for role, cpu in run["roles"].items())


if __name__ == "__main__":
    main(sys.argv[1:])

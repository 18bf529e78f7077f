"""One connection: ours beside a hand-written handler with the same contract that calls the model inline.

python -m benchmarks.single [--models lr,rf] [--seconds 5] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Any

from benchmarks import models, results
from benchmarks.load import load_of, press
from benchmarks.servers import BY_NAME, INLINE, running


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=lambda text: text.split(","), default=["lr", "rf"])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    results.write("single", [compare(model, seconds=options.seconds, rounds=options.rounds) for model in options.models])


def compare(model: str, *, seconds: float, rounds: int) -> dict[str, Any]:
    """CPU per request and p50, and their ratios: the median over interleaved rounds."""
    rows, labels = models.rows(), [[label] for label in models.labels(model)]
    ratios: dict[str, list[float]] = {"cpu_us": [], "p50_ms": []}
    seen: dict[str, list[dict[str, Any]]] = {"inline": [], "fairlead": []}
    with running(INLINE, model, rows[:1]) as inline, running(BY_NAME["fairlead"], model, rows[:1]) as ours:
        loads = [(server, load_of(server, [[row] for row in rows], labels)) for server in (inline, ours)]
        for turn in range(-1, rounds):  # the first is for warming up
            theirs, own = (press(server, load, connections=1, seconds=seconds) for server, load in loads)
            if theirs["errors"] or own["errors"]:
                raise SystemExit(f"wrong answers or errors: {theirs['errors']} {own['errors']}")
            if turn < 0:
                continue
            for field, values in ratios.items():
                values.append(own[field] / theirs[field])
            seen["inline"].append(theirs)
            seen["fairlead"].append(own)
            print(f"round {turn + 1} {model}: CPU {ratios['cpu_us'][-1]:.2f}x, p50 {ratios['p50_ms'][-1]:.2f}x", flush=True)
    record: dict[str, Any] = {"model": model, "rounds": rounds}
    record |= {f"{field}_ratio": statistics.median(values) for field, values in ratios.items()}
    for name, runs in seen.items():
        record[name] = {field: statistics.median(run[field] for run in runs) for field in ratios}
    return record


if __name__ == "__main__":
    main(sys.argv[1:])

"""Batch: a folder of parquet scored to parquet, by us and by others, on the same two cores: python -m benchmarks.batch [--rows 10000000]

Ours is `python -m fairlead_scoring batch PLACE` with the engine `local`. Two rates are taken of each: of the whole command, and after its start. A peer
says when it has loaded its libraries and the model (Ray and Spark: when they run); ours is a job of as many rows less one of a single row, in the same round.
Rounds are interleaved and ratios taken within one round. Every answer's rows and sum are compared with those of the hand-written loop. Slow peers get
fewer rows (`--fewer`): their rates are to be compared, and their sums only with one another's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.peers import HERE, PEERS, ROOT, python_of

PEERS_OF_BATCH = ("chunks", "fairlead", "fairlead-compiled", "ray", "spark", "dask")
MEASURES = ("wall_s", "inner_s", "cpu_s", "peak_bytes", "rows_per_s", "inner_rows_per_s", "rows_per_cpu_s")
RATIOS = {"ratio": "rows_per_s", "inner_ratio": "inner_rows_per_s", "cpu_ratio": "rows_per_cpu_s"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
_CHECK = "import pyarrow.dataset as d, pyarrow.compute as c, sys; t = d.dataset(sys.argv[1], format='parquet').to_table(); v = t.column('prediction'); \
print(t.num_rows, c.sum(v).as_py())"


@dataclass(frozen=True)
class Bench:
    folder: Path
    python: str
    rows: int
    processes: int

    @property
    def data(self) -> Path:
        return self.folder / f"data-{self.rows}"

    def command(self, peer: str, model: str, out: Path, data: Path) -> list[str]:
        if not peer.startswith("fairlead"):
            return [self.python, str(HERE / "apps" / f"batch_{peer}.py"), str(self.folder / f"{model}.joblib"), str(data), str(out)]
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "job.json").write_text(json.dumps(self._order(self._bundle(peer, model), data, out)))
        return [self.python, "-m", "fairlead_scoring", "batch", str(place)]

    def _order(self, bundle: Path, data: Path, out: Path) -> dict[str, Any]:
        output = {"url": str(out), "format": "parquet"}
        engine = {"name": "local", "processes": self.processes}
        inputs = [{"urls": [str(data)], "format": "parquet"}]
        return {"version": 1, "id": "bench", "name": "bench", "bundle": str(bundle), "inputs": inputs, "output": output, "engine": engine, "method": "predict"}

    def _bundle(self, peer: str, model: str) -> Path:
        place = self.folder / f"{peer}-{model}"
        if not (place / "bundle.json").exists():
            row = {f"c{number:02d}": 1.0 for number in range(30)}
            sample = self.folder / "sample.json"
            sample.write_text(json.dumps({"data": [row]}))
            compiled = ["--compile", "onnx", "--sample", str(sample)] if peer.endswith("compiled") else []
            command = [self.python, "-m", "fairlead", "bundle", str(self.folder / f"{model}.joblib"), *compiled, "-o", str(place)]
            subprocess.run(command, check=True, cwd=self.folder)
        return place


def measure(bench: Bench, peer: str, model: str) -> dict[str, Any]:
    record = run(bench, peer, model, bench.data)
    if record["inner_s"] is None:
        record["inner_s"] = record["wall_s"] - run(bench, peer, model, bench.folder / "data-1")["wall_s"]
    record["rows_per_s"] = record["rows"] / record["wall_s"]
    record["inner_rows_per_s"] = record["rows"] / record["inner_s"]
    record["rows_per_cpu_s"] = record["rows"] / record["cpu_s"]
    rates = f"{record['rows_per_s']:12,.0f} rows/s, {record['inner_rows_per_s']:12,.0f} after its start"
    print(f"{model:3} {peer:18} {rates} {record['cpu_s']:8.1f} CPU s {record['peak_bytes'] / 2**20:6.0f} MiB", flush=True)
    return record


def run(bench: Bench, peer: str, model: str, data: Path) -> dict[str, Any]:
    out, report = bench.folder / "out", bench.folder / "measured.json"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.measured", str(report), *bench.command(peer, model, out, data)]
    with (bench.folder / f"{peer}-{model}.log").open("wb") as log:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise SystemExit(f"{peer} with {model} failed; see {bench.folder / f'{peer}-{model}.log'}.")
    rows, total = subprocess.run([bench.python, "-c", _CHECK, str(out)], capture_output=True, text=True, check=True).stdout.split()
    return {"peer": peer, "model": model, "rows": int(rows), "sum": int(total), **json.loads(report.read_text())}


def make_data(bench: Bench, rows: int, files: int) -> None:
    subprocess.run([bench.python, str(HERE / "apps" / "batch_model.py"), str(bench.folder), str(rows), str(files)], check=True)


def summary(model: str, rounds: list[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Medians, and ratios to the hand-written loop of the same round."""
    made = []
    for peer in rounds[0]:
        middle = {name: statistics.median(each[peer][name] for each in rounds) for name in MEASURES}
        record = {"peer": peer, "model": model, "rows": rounds[0][peer]["rows"], "rounds": len(rounds), **middle}
        if "chunks" in rounds[0]:
            record |= {ratio: statistics.median(each[peer][rate] / each["chunks"][rate] for each in rounds) for ratio, rate in RATIOS.items()}
        made.append(record)
    return made


def one_round(benches: dict[str, Bench], model: str) -> dict[str, dict[str, Any]]:
    found = {peer: measure(bench, peer, model) for peer, bench in benches.items()}
    said = {(record["rows"], record["sum"]) for record in found.values()}
    wanted = {bench.rows for bench in benches.values()}
    if len(said) != len(wanted) or wanted != {rows for rows, _ in said}:
        raise SystemExit(f"The answers differ: { {peer: (record['rows'], record['sum']) for peer, record in found.items()} }.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--fewer", default="ray=1000000", help="rows for slow peers, such as ray=1000000,spark=2000000")
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--models", default="lr,rf")
    parser.add_argument("--peers", default=",".join(PEERS_OF_BATCH))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--python", help="an interpreter that has it all, instead of the environment `batch`")
    chosen = parser.parse_args()
    benches = benches_of(chosen)
    for rows in sorted({bench.rows for bench in benches.values()}):
        make_data(next(iter(benches.values())), rows, chosen.files)
    make_data(next(iter(benches.values())), 1, 1)
    records: list[dict[str, Any]] = []
    for model in chosen.models.split(","):
        load = os.getloadavg()[0]
        records += [{**record, "load_before": load} for record in summary(model, [one_round(benches, model) for _ in range(chosen.rounds)])]
    results.write("batch", records)


def benches_of(chosen: argparse.Namespace) -> dict[str, Bench]:
    fewer = {name: int(rows) for name, _, rows in (each.partition("=") for each in chosen.fewer.split(",") if each)}
    python = str(Path(chosen.python or python_of("batch")).absolute())
    return {peer: Bench(PEERS / "batch-data", python, fewer.get(peer, chosen.rows), chosen.processes) for peer in chosen.peers.split(",")}


if __name__ == "__main__":
    main()

"""Batch beside what it cannot do without: python -m benchmarks.batch_limits [--only bound,memory,files]

bound    a job after its start, to the longer of reading + writing alone and predicting alone on all cores
memory   the peak of all processes of a job, for 1, 10 and 100 million rows (the same files under ten names)
files    100,000 small files: how long planning takes, and what a file costs beyond reading it
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.batch import ONE_THREAD, Bench, make_data, measure
from benchmarks.peers import HERE, PEERS, ROOT, python_of

MILLION = 1_000_000
FILES = 100_000
CONTENT = b"1234567890" * 100
CORES = 2
READ = "import pathlib, sys, time; files = list(pathlib.Path(sys.argv[1]).iterdir()); begun = time.process_time(); [each.read_bytes() for each in files]; \
print(time.process_time() - begun)"
SCRIPT = """def init():
    pass


def run(mini_batch):
    return [len(open(path, "rb").read()) for path in mini_batch]
"""


def bound(bench: Bench) -> Iterator[dict[str, Any]]:
    for model in ("lr", "rf"):
        out = bench.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        command = [bench.python, str(HERE / "apps" / "batch_bare.py"), str(bench.folder / f"{model}.joblib"), str(bench.data), str(out)]
        said = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=True).stdout.split()
        read_write, predict = float(said[1]), float(said[3])
        ours, longer = measure(bench, "fairlead", model), max(read_write, predict / CORES)
        times = {"read_write_s": read_write, "predict_s": predict, "bound_s": longer, "inner_s": ours["inner_s"], "ratio": ours["inner_s"] / longer}
        yield {"part": "bound", "model": model, "rows": ours["rows"], **times}


def memory(bench: Bench) -> Iterator[dict[str, Any]]:
    for rows in (MILLION, 10 * MILLION, 100 * MILLION):
        sized = Bench(bench.folder, bench.python, rows, bench.processes)
        if rows <= 10 * MILLION:
            make_data(sized, rows, 10)
        elif not sized.data.exists():
            sized.data.mkdir()
            for path in bench.data.glob("*.parquet"):
                for copy in range(rows // bench.rows):
                    (sized.data / f"{copy}-{path.name}").hardlink_to(path)
        measured = measure(sized, "fairlead", "lr")
        yield {"part": "memory", **{name: measured[name] for name in ("model", "rows", "peak_bytes", "rows_per_s")}}


def files(bench: Bench) -> Iterator[dict[str, Any]]:
    folder = bench.folder / "files"
    if not (folder / "many" / f"{FILES - 1}.bin").exists():
        for name, count in (("many", FILES), ("one", 1)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                (folder / name / f"{number}.bin").write_bytes(CONTENT)
    (folder / "count.py").write_text(SCRIPT)
    plan, used = _count(bench, folder, "many")
    _, alone = _count(bench, folder, "one")
    read = float(subprocess.run([bench.python, "-c", READ, str(folder / "many")], capture_output=True, text=True, check=True).stdout)
    yield {"part": "files", "files": FILES, "bytes": len(CONTENT), "plan_s": plan, "overhead_ms": (used - alone - read) * 1000 / FILES}


def _count(bench: Bench, folder: Path, name: str) -> tuple[float, float]:
    """Seconds from the command's start to the end of planning, and CPU seconds of all."""
    bundle, place, out, report = (folder / each for each in ("bundle", "place", "out", "measured.json"))
    for each in (place, out):
        shutil.rmtree(each, ignore_errors=True)
    if not bundle.exists():
        subprocess.run([bench.python, "-m", "fairlead", "bundle", "--script", "count.py", "--name", "count", "-o", str(bundle)], check=True, cwd=folder)
    place.mkdir()
    order = {"version": 1, "id": name, "name": name, "bundle": str(bundle), "script": "count.py", "output": {"url": str(out), "format": "csv"}}
    order |= {"inputs": [{"urls": [str(folder / name)], "format": "files"}], "engine": {"name": "local", "processes": bench.processes}}
    (place / "job.json").write_text(json.dumps(order))
    begun = (place / "job.json").stat().st_mtime
    command = [bench.python, "-m", "benchmarks.measured", str(report), bench.python, "-m", "fairlead_scoring", "batch", str(place)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **ONE_THREAD}, stdout=subprocess.DEVNULL)
    events = [json.loads(line) for line in (place / "events.jsonl").read_text().splitlines()]
    running = next(each["at"] for each in events if each["event"] == "JobRunning")
    return running - begun, float(json.loads(report.read_text())["cpu_s"])


PARTS: dict[str, Callable[[Bench], Iterator[dict[str, Any]]]] = {"bound": bound, "memory": memory, "files": files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=",".join(PARTS) + "; results of others are kept")
    chosen = parser.parse_args()
    bench = Bench(PEERS / "batch-data", str(Path(python_of("batch")).absolute()), 10 * MILLION, CORES)
    for rows, count in ((bench.rows, 10), (1, 1)):
        make_data(bench, rows, count)
    records = [each for each in (results.read("batch_limits") or {"records": []})["records"] if each["part"] not in chosen.only]
    for part in chosen.only:
        for record in PARTS[part](bench):
            print(record, flush=True)
            records.append(record)
    results.write("batch_limits", records)


if __name__ == "__main__":
    main()

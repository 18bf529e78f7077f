"""Whole jobs: `python -m fairlead_scoring batch PLACE` from its order to its answers."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fairlead_scoring.batch.job import Input
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.scoring.batch.jobs import Job, bundle_of_model, bundle_of_script, children_of, order_job
from tests.waiting import until

RNG = np.random.default_rng(11)
# Scripts ask for Arrow's tables: a process without pandas starts in half the time.
DOUBLE = """
import pyarrow.compute as pc
def init(): pass
def run(mini_batch: "pa.Table"):
    return mini_batch.select(["x"]).append_column("y", pc.multiply(mini_batch["x"], 2))
"""
NEGATIVE = """
def init(): pass
def run(mini_batch: "pa.Table"):
    if min(mini_batch["x"].to_pylist()) < 0: raise ValueError("negative")
    return mini_batch.select(["x"])
"""


def write_rows(path: Path, rows: int, row_group: int | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"id": np.arange(rows), "x": RNG.normal(size=rows), "z": RNG.normal(size=rows)})
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=row_group or rows)
    return frame


def test_a_model_scores_a_file_as_its_own_predict_would(tmp_path: Path) -> None:
    frame = write_rows(tmp_path / "in.parquet", 200_000, 50_000)  # two shards
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame[["x", "z"]][:1000], (frame["x"] > frame["z"])[:1000])
    bundle = bundle_of_model(tmp_path, model)
    job = order_job(tmp_path, bundle, str(tmp_path / "in.parquet"), processes=2, output={"keep": ("id",)}, mini_batch={"rows": 20_000})
    done = job.drive()
    assert done.returncode == 0, done.stderr
    answers = job.answers
    assert answers.column("id").to_pylist() == frame["id"].tolist()
    assert answers.column("prediction").to_pylist() == model.predict(frame[["x", "z"]]).tolist()
    progress = job.progress
    assert (progress["state"], progress["rows"], progress["failure"]) == ("succeeded", {"done": 200_000, "total": 200_000, "failed": 0}, None)
    assert progress["shards"]["done"] == progress["shards"]["total"] > 1
    assert [event["event"] for event in job.events] == ["JobRunning", "JobPublishing", "JobSucceeded"]
    logs = {str(path.relative_to(job.place / "logs")).split(".")[0] for path in (job.place / "logs").rglob("*.txt")}
    streams = {f"user/{stream}/node-0/process00{number}" for stream in ("stdout", "stderr") for number in (0, 1)}
    assert logs == {"job_progress_overview", "sys/master_role", *streams}
    before = job.published()
    again = job.drive()
    assert (again.returncode, job.published()) == (0, before)


def test_killed_again_and_again_it_ends_with_the_bytes_of_an_undisturbed_run(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.parquet", 1_200_000, 160_000)
    unhurried = DOUBLE.replace("    return", "    threading.Event().wait(0.4)  # so that a kill finds it at work\n    return")
    bundle = bundle_of_script(tmp_path, "import threading\n" + unhurried)
    calm = order_job(tmp_path / "calm", bundle, str(tmp_path / "in.parquet"), script="score.py", processes=2)
    assert calm.drive().returncode == 0
    job = order_job(tmp_path / "killed", bundle, str(tmp_path / "in.parquet"), script="score.py", processes=2)
    for victim in ("child", "driver", "both"):
        kill_one(job, victim)
    assert job.drive().returncode == 0
    assert job.published() == calm.published()
    assert job.progress["rows"] == {"done": 1_200_000, "total": 1_200_000, "failed": 0}
    assert job.progress["starts"] > 1
    assert not list((job.out / "_fairlead").glob("tmp/*"))


def kill_one(job: Job, victim: str) -> None:
    """Once a shard more is done, or the whole."""
    known = shards_done(job)
    driver = job.start()
    until(lambda: shards_done(job) > known or driver.poll() is not None, "another shard to be done")
    children = children_of(driver.pid)
    if victim != "driver" and children:
        children[0].kill()
    if victim == "child":
        until(lambda: shards_done(job) > known + 1 or driver.poll() is not None, "one shard more after the kill")
    if driver.poll() is None:
        driver.kill()
    driver.wait()
    until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children), "the children to end with their driver")


def shards_done(job: Job) -> int:
    ledger = job.out / "_fairlead" / "ledger.jsonl"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


def test_bad_rows_and_bad_files_go_into_quarantine(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"x": 1}\n{"x": 2, oops\n{"x": -3}\n{"x": 4}\n')
    (folder / "b.jsonl").write_bytes(b"\x00\xff" * 100)
    (folder / "c.jsonl").write_text('{"x": 5}\n')
    job = order_job(tmp_path, bundle_of_script(tmp_path, NEGATIVE), str(folder), script="score.py", limits={"error_threshold": -1})
    done = job.drive()
    assert done.returncode == 0, done.stderr
    assert job.answers.column("x").to_pylist() == [1, 4, 5]
    found = [(Path(each["url"]).name, each["row"]) for each in job.quarantine]
    assert ("a.jsonl", 1) in found
    assert ("a.jsonl", 2) in found
    assert "b.jsonl" in [name for name, _ in found]
    assert "c.jsonl" not in [name for name, _ in found]
    reason = next(each["reason"] for each in job.quarantine if each["row"] == 2)
    assert reason == "ValueError: negative (score.py, line 4)"
    assert job.progress["rows"]["failed"] == len(found)


DEADLY = """
import os, signal
def init(): print("loaded", flush=True)
def run(mini_batch: 'pa.Table'):
    for x in mini_batch["x"].to_pylist():
        if x == 3: os._exit(7)
        if x == 9: os.kill(os.getpid(), signal.SIGSEGV)
    return mini_batch.select(["x"])
"""


def test_rows_that_kill_the_process_are_found_alone(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("x\n" + "".join(f"{x}\n" for x in range(12)))
    limits = {"error_threshold": 2, "run_max_try": 1}
    job = order_job(tmp_path, bundle_of_script(tmp_path, DEADLY), str(tmp_path / "in.csv"), script="score.py", limits=limits, mini_batch={"rows": 2})
    done = job.drive()
    assert done.returncode == 0, done.stderr
    assert job.answers.column("x").to_pylist() == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]
    assert [(each["row"], each["reason"]) for each in job.quarantine] == [
        (3, "The process that scored it exited with 7."),
        (9, "The process that scored it was ended by SIGSEGV."),
    ]
    assert (job.place / "logs/user/stdout/node-0/process000.stdout.txt").read_text().count("loaded") > 1


SLOW = """
import signal, threading
def init(): pass
def run(mini_batch: 'pa.Table'):
    for x in mini_batch["x"].to_pylist():
        if x == 1: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        if x in (1, 2): threading.Event().wait()
    return mini_batch.select(["x"])
"""


def test_a_run_that_takes_too_long_is_interrupted_or_killed(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("x\n0\n1\n2\n3\n")
    limits = {"error_threshold": 2, "run_max_try": 1, "run_invocation_timeout": 1.5}
    job = order_job(tmp_path, bundle_of_script(tmp_path, SLOW), str(tmp_path / "in.csv"), script="score.py", limits=limits, mini_batch={"rows": 2})
    done = job.drive()
    assert done.returncode == 0, done.stderr
    assert job.answers.column("x").to_pylist() == [0, 3]
    assert [(each["row"], each["reason"].split(" (")[0]) for each in job.quarantine] == [
        (1, "run() took longer than 1.5 s, and the process that scored it had to be killed."),
        (2, "run() took longer than 1.5 s"),
    ]


def test_too_many_failed_rows_end_the_job_with_a_report(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("x\n1\n-2\n3\n-4\n")
    bundle = bundle_of_script(tmp_path, NEGATIVE)
    job = order_job(tmp_path / "count", bundle, str(tmp_path / "in.csv"), script="score.py", limits={"error_threshold": 1, "run_max_try": 1})
    assert job.drive().returncode == 1
    assert (job.progress["state"], job.progress["failure"]["cause"]) == ("failed", "too-many-failed")
    assert f"{tmp_path / 'in.csv'}, row 3: ValueError: negative" in job.progress["failure"]["message"]
    assert not (job.out / "_manifest.json").exists()
    assert not job.progress["failure"]["message"].endswith("..")
    part = order_job(tmp_path / "percent", bundle, str(tmp_path / "in.csv"), script="score.py", limits={"allowed_failed_percent": 40, "run_max_try": 1})
    assert part.drive().returncode == 1
    assert part.progress["failure"]["message"].startswith("2 of 4 rows failed (50.00%), and 40 % may. The first: ")
    assert f"{tmp_path / 'in.csv'}, row 1: ValueError: " in part.progress["failure"]["message"]
    assert part.answers.num_rows == 2  # a whole shard stays


WAITS = """
import os, pathlib, sys, threading
def init(): pass
def run(mini_batch: 'pa.Table'):
    if not pathlib.Path(os.environ["GO"]).exists(): threading.Event().wait()
    return mini_batch.select(["x"])
"""


def test_cancel_ends_it_within_seconds_and_leaves_whole_shards(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.parquet", 10)
    variables = {"GO": str(tmp_path / "go")}
    job = order_job(tmp_path, bundle_of_script(tmp_path, WAITS), str(tmp_path / "in.parquet"), script="score.py", variables=variables)
    driver = job.start()
    until(lambda: children_of(driver.pid), "the job to begin")
    assert job.drive().returncode == 4  # somebody is at it already
    (job.place / "cancel").touch()
    assert driver.wait(timeout=20) == 4
    assert job.progress["state"] == "canceled"
    assert job.published() == {}


def test_a_driver_that_is_told_to_end_leaves_the_job_to_the_next(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.parquet", 10)
    variables = {"GO": str(tmp_path / "go")}
    job = order_job(tmp_path, bundle_of_script(tmp_path, WAITS), str(tmp_path / "in.parquet"), script="score.py", variables=variables)
    driver = job.start()
    until(lambda: children_of(driver.pid), "the job to begin")
    driver.terminate()
    assert driver.wait(timeout=20) == 128 + signal.SIGTERM
    assert job.progress["state"] == "running"
    (tmp_path / "go").touch()
    assert job.drive().returncode == 0
    assert (job.progress["state"], job.progress["starts"], job.answers.num_rows) == ("succeeded", 2, 10)


@pytest.mark.parametrize(
    ("text", "cause", "words"),
    [
        ("def init():\n    raise KeyError('weights')\ndef run(mini_batch: 'pa.Table'): return mini_batch\n", "init-raised", "KeyError: 'weights'"),
        ("import no_such_thing\ndef init(): pass\ndef run(mini_batch: 'pa.Table'): return mini_batch\n", "package-missing", "no_such_thing"),
        ("import os\ndef init(): os._exit(3)\ndef run(mini_batch: 'pa.Table'): return mini_batch\n", "killed", "exited with 3"),
    ],
)
def test_a_script_that_cannot_begin_ends_the_job(tmp_path: Path, text: str, cause: str, words: str) -> None:
    write_rows(tmp_path / "in.parquet", 10)
    job = order_job(tmp_path, bundle_of_script(tmp_path, text), str(tmp_path / "in.parquet"), script="score.py")
    done = job.drive()
    assert done.returncode == 3, done.stderr
    assert job.progress["failure"]["cause"] == cause
    assert words in job.progress["failure"]["message"]


def test_files_become_lines_of_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(7):
        (folder / f"{number}.png").write_bytes(bytes(number))
    text = """
import os
from azureml_user.parallel_run import EntryScript
def init():
    global least
    least = int(open(os.environ["AZUREML_DATAREFERENCE_least"]).read())
    EntryScript().logger.info("ready")
def run(mini_batch):
    assert len(mini_batch) <= 3
    return [f"{os.path.basename(path)}: {os.path.getsize(path)}" for path in mini_batch if os.path.getsize(path) > least]
"""
    (tmp_path / "least.txt").write_text("0")
    job = order_job(
        tmp_path,
        bundle_of_script(tmp_path, text),
        Input((str(folder),), format="files"),
        script="score.py",
        mini_batch={"files": 3},
        limits={"error_threshold": 1},
        side_inputs={"least": str(tmp_path / "least.txt")},
        output={"action": "append_row", "file_name": "results.txt", "format": "text"},
    )
    done = job.drive()
    assert done.returncode == 0, done.stderr
    assert (job.out / "results.txt").read_text() == "".join(f"{number}.png: {number}\n" for number in range(1, 7))
    assert (job.progress["unit"], job.progress["rows"]["done"], job.progress["rows"]["failed"]) == ("files", 7, 1)


LEAVES_WORK = """
import atexit, concurrent.futures, ctypes, threading
late = threading.Event()
def shutdown():
    pool = concurrent.futures.ThreadPoolExecutor()
    pool.submit(int).result()
    threading.Thread(target=lambda: late.wait(0.3) or print("a thread")).start()
    atexit.register(print, "an exit")
    ctypes.CDLL(None).puts(b"a library")
"""


def test_what_a_script_left_to_its_processs_end_is_done(tmp_path: Path) -> None:
    """Threads, `atexit`, a pool's idle threads, and what a library in C has written and not flushed."""
    write_rows(tmp_path / "in.parquet", 10)
    job = order_job(tmp_path, bundle_of_script(tmp_path, DOUBLE + LEAVES_WORK), str(tmp_path / "in.parquet"), script="score.py")
    done = job.drive()
    assert done.returncode == 0, done.stderr
    said = (job.place / "logs/user/stdout/node-0/process000.stdout.txt").read_text().splitlines()
    assert sorted(said) == ["a library", "a thread", "an exit"]


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    text = DOUBLE + "import resource\ndef shutdown():\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    bundle = bundle_of_script(tmp_path, text)
    peaks = []
    for name, rows in (("small", 250_000), ("large", 2_500_000)):
        write_rows(tmp_path / f"{name}.parquet", rows, 250_000)
        job = order_job(tmp_path / name, bundle, str(tmp_path / f"{name}.parquet"), script="score.py", mini_batch={"rows": 50_000})
        assert job.drive().returncode == 0
        peaks.append(int((job.place / "logs/user/stdout/node-0/process000.stdout.txt").read_text()))
    assert peaks[1] < peaks[0] + 40 * 1024  # of 60 MB


def test_the_scripts_secrets_are_files_and_those_of_storages_are_not_among_them(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.parquet", 1)
    text = "import os\ndef init(): pass\ndef run(mini_batch: 'pa.Table'):\n    return [' '.join(sorted(os.listdir(os.environ['FAIRLEAD_SECRETS_DIR'])))]\n"
    job = order_job(tmp_path, bundle_of_script(tmp_path, text), str(tmp_path / "in.parquet"), script="score.py")
    (job.place / "secrets").mkdir()
    (job.place / "secrets" / "token").write_text("t0ken")
    (job.place / "secrets" / ".input-0").write_text(json.dumps({"key": "hush-hush"}))
    done = job.drive()
    assert done.returncode == 0, done.stderr
    assert job.answers.column("prediction").to_pylist() == ["token"]
    kept = [path for path in job.place.rglob("*") if path.is_file() and path.parent.name != "secrets"]
    assert [path for path in kept if b"hush-hush" in path.read_bytes()] == []


FILLS = """
import resource
import numpy as np

def init():
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))  # the system then says EFBIG, as it says ENOSPC of a full disk

def run(mini_batch):
    return np.random.default_rng(1).random(len(mini_batch))
"""


def test_a_full_disk_is_the_cause_that_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": range(40000)}), tmp_path / "rows.parquet")
    job = order_job(tmp_path, bundle_of_script(tmp_path, FILLS), str(tmp_path / "rows.parquet"), script="score.py")
    said = job.drive()
    assert said.returncode == 1, said.stderr
    assert job.progress["failure"]["cause"] == "disk-full"
    assert "No space is left for" in job.progress["failure"]["message"]

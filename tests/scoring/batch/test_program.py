"""Jobs of batch services: a driver script is run once, with its inputs and outputs as arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import psutil
import pytest
from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.program import _put

from tests.s3 import S3Server
from tests.scoring.batch.jobs import Job, bundle_of_script, children_of
from tests.waiting import until

COPIES = """
import argparse, os, sys
parser = argparse.ArgumentParser()
for name in ("--data", "--scores", "--factor"):
    parser.add_argument(name, required=True)
said = parser.parse_args()
print("factor", said.factor, flush=True)
if said.factor == "bad":
    sys.exit("the factor is no number")
while said.factor == "wait":
    pass
os.makedirs(said.scores)
with open(said.data) as source, open(os.path.join(said.scores, "part.csv"), "w") as target:
    target.writelines(f"{int(line) * int(said.factor)}\\n" for line in source)

def init(): pass
def run(data): pass
"""


def order_program(folder: Path, factor: str, data: str, scores: str, secrets: dict[str, Any] | None = None) -> Job:
    place = folder / "place"
    (place / "secrets").mkdir(parents=True)
    names = {}
    for name, content in (secrets or {}).items():
        (place / "secrets" / f".{name}").write_text(json.dumps(content))
        names[name] = f".{name}"
    parameters = [
        {"id": "--data", "kind": "Reference", "direction": "Input", "value": data, "credentials": names.get("data")},
        {"id": "--scores", "kind": "Reference", "direction": "Output", "value": scores, "credentials": names.get("scores")},
        {"id": "--factor", "kind": "Value", "direction": "Input", "value": factor, "credentials": None},
    ]
    bundle = bundle_of_script(folder, COPIES)
    order = Order(id="job-1", name="job", kind="program", bundle=str(bundle), program={"driver": "score.py", "parameters": parameters})
    (place / "job.json").write_text(json.dumps(order.to_json()))
    return Job(place, folder / "out")


def test_outputs_are_put_in_place_when_it_has_ended_well(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("1\n2\n")
    job = order_program(tmp_path, "3", str(tmp_path / "in.txt"), f"file://{tmp_path}/out")
    done = job.drive()
    assert done.returncode == 0, done.stderr
    assert job.published() == {"part.csv": b"3\n6\n"}
    assert (job.progress["state"], job.progress["exit_code"]) == ("succeeded", 0)
    assert (job.place / "logs" / job.progress["log"]).read_text() == "factor 3\n"


@pytest.mark.parametrize("before", ["file", "folder", "link"])
def test_an_output_that_was_there_is_replaced_whole(before: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("1\n")
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept.csv").write_text("kept")
    if before == "file":
        out.write_text("old")
    elif before == "folder":
        out.mkdir()
        (out / "old.csv").write_text("old")
    else:
        out.symlink_to(elsewhere)
    job = order_program(tmp_path, "3", str(tmp_path / "in.txt"), str(out))
    done = job.drive()
    assert done.returncode == 0, done.stderr
    assert (out.is_symlink(), job.published()) == (False, {"part.csv": b"3\n"})
    assert (elsewhere / "kept.csv").read_text() == "kept"
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".") or "before" in each.name] == []


def test_an_output_that_cannot_take_its_place_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(FileNotFoundError):
        _put(str(tmp_path / "gone"), str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "old"


def test_a_driver_that_fails_leaves_no_output_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("1\n")
    job = order_program(tmp_path, "bad", str(tmp_path / "in.txt"), str(tmp_path / "out"))
    assert job.drive().returncode == 1
    failure = job.progress["failure"]
    assert failure["cause"] == "program-failed"
    assert "exit code 1" in failure["message"]
    assert failure["log_lines"][-1] == "the factor is no number"
    assert not job.out.exists()


def test_cancel_ends_the_driver(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("1\n")
    job = order_program(tmp_path, "wait", str(tmp_path / "in.txt"), str(tmp_path / "out"))
    driver = job.start()
    log = job.place / "logs" / "user" / "driver.txt"
    until(lambda: log.exists() and "factor" in log.read_text(), "the driver script to run")
    (job.place / "cancel").touch()
    assert driver.wait(timeout=20) == 4
    assert (job.progress["state"], job.out.exists()) == ("canceled", False)


def test_a_driver_that_is_killed_takes_its_script_with_it(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("1\n")
    job = order_program(tmp_path, "wait", str(tmp_path / "in.txt"), str(tmp_path / "out"))
    driver = job.start()
    log = job.place / "logs" / "user" / "driver.txt"
    until(lambda: log.exists() and "factor" in log.read_text(), "the script to begin")
    script, *_ = children_of(driver.pid)
    driver.kill()
    driver.wait()
    until(lambda: not script.is_running() or script.status() == psutil.STATUS_ZOMBIE, "the script to end")


def test_inputs_and_outputs_elsewhere_are_fetched_and_published(tmp_path: Path, s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket()
    credentials = {"key": "test", "secret": "test", "endpoint_url": s3_server.environment["AWS_ENDPOINT_URL"]}
    store = fsspec.filesystem("s3", **credentials, skip_instance_cache=True)
    store.pipe(f"{bucket}/in.txt", b"5\n")
    job = order_program(tmp_path, "2", f"s3://{bucket}/in.txt", f"s3://{bucket}/scores", {"data": credentials, "scores": credentials})
    done = job.drive()
    assert done.returncode == 0, done.stderr
    store.invalidate_cache()
    assert store.cat(f"{bucket}/scores/part.csv") == b"10\n"

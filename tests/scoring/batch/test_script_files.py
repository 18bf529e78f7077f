"""What scripts of batch leave and are told beyond rows: their own files in a store, side inputs, the values of partition keys, logs of how long it took."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fairlead_scoring.batch.job import Input
from fairlead_scoring.batch.places import open_place

from tests.s3 import S3Server
from tests.scoring.batch.jobs import bundle_of_script, order_job

WRITING = """
import os
from azureml_user.parallel_run import EntryScript

def init():
    global word
    with open(os.environ["AZUREML_DATAREFERENCE_word"]) as file:
        word = file.read()

def run(mini_batch):
    first = int(mini_batch["x"].iloc[0])
    with open(os.path.join(EntryScript().output_dir, f"from-{first:03d}.txt"), "w") as file:
        file.write(f"{word} {mini_batch['x'].sum()}")
    return list(mini_batch["x"])

def shutdown():
    with open(os.path.join(EntryScript().output_dir, "end.txt"), "w") as file:
        file.write("the end")
"""
GROUPED = """
def init():
    pass

def run(mini_batch):
    key = mini_batch.partition_key_value
    return [f"{key['team']}-{key['n'] + 1}"] * len(mini_batch)
"""
LISTED = """
import os

def init():
    pass

def run(mini_batch):
    return [f"{mini_batch.partition_key_value['team']} {os.path.basename(path)}" for path in mini_batch]
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": range(100), "team": ["a", "b"] * 50, "n": [1, 2] * 50}), path)
    return path


def test_files_of_a_script_are_brought_to_a_store(rows: Path, tmp_path: Path, s3: S3Server, flaky_s3: Callable[..., AbstractContextManager[None]]) -> None:
    bucket = f"s3://{s3.make_bucket()}"
    open_place(bucket).put("word/one.txt", b"sum")
    secrets = {"key": "test", "secret": "test", "endpoint_url": s3.environment["AWS_ENDPOINT_URL"]}
    order = {"side_inputs": {"word": f"{bucket}/word/one.txt"}, "side_credentials": {"word": ".word"}, "script": "score.py", "mini_batch": {"rows": 10}}
    output = {"url": f"{bucket}/out", "action": "summary_only", "credentials": ".word"}
    job = order_job(tmp_path, bundle_of_script(tmp_path, WRITING), str(rows), output=output, **order)
    (job.place / "secrets").mkdir()
    (job.place / "secrets" / ".word").write_text(json.dumps(secrets))
    with flaky_s3(0.02):
        done = job.drive()  # the secret alone opens it
    assert done.returncode == 0, done.stderr
    place = open_place(f"{bucket}/out")
    expected = {f"from-{first:03d}.txt": f"sum {sum(range(first, first + 10))}".encode() for first in range(0, 100, 10)} | {"end.txt": b"the end"}
    assert {each.url.rpartition("/")[2]: place.read_bytes(each.url) for each in place.entries()} == expected
    manifest = json.loads(place.read_bytes("_manifest.json"))
    assert [(each["path"], each["bytes"]) for each in manifest["parts"]] == [(name, len(content)) for name, content in sorted(expected.items())]
    [log] = (job.place / "logs/perf").rglob("*.csv")
    with log.open() as file:
        assert sum(int(each["items"]) for each in csv.DictReader(file)) == 100


def test_a_side_input_that_names_no_secret_is_said(rows: Path, tmp_path: Path) -> None:
    order = {"side_inputs": {"word": "s3://somewhere/word.txt"}, "side_credentials": {"word": "absent"}, "script": "score.py"}
    job = order_job(tmp_path, bundle_of_script(tmp_path, WRITING), str(rows), **order)
    assert job.drive().returncode != 0
    assert "The side input 'word' names the credentials 'absent'" in job.progress["failure"]["message"]


def test_a_mini_batch_knows_its_group(rows: Path, tmp_path: Path) -> None:
    text = {"action": "append_row", "format": "text", "file_name": "all.txt"}
    job = order_job(tmp_path / "rows", bundle_of_script(tmp_path / "rows", GROUPED), str(rows), script="score.py", partition_keys=("team", "n"), output=text)
    assert job.drive().returncode == 0
    assert sorted((job.out / "all.txt").read_text().split()) == ["a-2"] * 50 + ["b-3"] * 50
    for team in ("a", "b"):
        (tmp_path / "files" / f"team={team}").mkdir(parents=True)
        for number in range(3):
            (tmp_path / "files" / f"team={team}" / f"{number}.bin").write_bytes(b"1")
    files = Input((str(tmp_path / "files"),), format="files")
    job = order_job(tmp_path / "listed", bundle_of_script(tmp_path / "listed", LISTED), files, script="score.py", partition_keys=("team",), output=text)
    assert job.drive().returncode == 0, job.progress
    assert sorted((job.out / "all.txt").read_text().splitlines()) == [f"{team} {number}.bin" for team in "ab" for number in range(3)]

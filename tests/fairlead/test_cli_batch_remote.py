"""A whole job over an object store (J5): rows in and answers out with a datastore's credentials, through the real server and the real runtime."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest

from fairlead import Dataset, Datastore, Environment, Experiment, Model, ParallelRunConfig, ParallelRunStep, Pipeline, PipelineData, Workspace
from fairlead.client import data
from fairlead.schemas.data import NewDatastore
from tests.deploying import Shell
from tests.s3 import S3Server

SECRET = "a-secret-that-no-log-shows"
SCRIPT = """
import os

def init():
    global words
    folder = os.environ["AZUREML_DATAREFERENCE_words"]
    words = {name: open(os.path.join(folder, name)).read() for name in os.listdir(folder)}

def run(mini_batch):
    return [f"{each} {words['odd.txt' if each % 2 else 'even.txt']}" for each in mini_batch["id"]]
"""


@pytest.fixture
def store(s3_server: S3Server) -> Any:
    """As somebody else's program sees it."""
    endpoint = s3_server.environment["AWS_ENDPOINT_URL"]
    return fsspec.filesystem("s3", key="test", secret="test", endpoint_url=endpoint, use_listings_cache=False, skip_instance_cache=True)


@pytest.fixture
def bucket(ws: Workspace, s3_server: S3Server, store: Any, tmp_path: Path) -> Iterator[str]:
    """Registered as the datastore `lake`; with 300 rows in three files, and two words."""
    name = s3_server.make_bucket()
    for number in range(3):
        with store.open(f"{name}/rows/{number}.csv", "w") as file:
            file.write("id\n" + "".join(f"{each}\n" for each in range(number * 100, number * 100 + 100)))
    store.pipe_file(f"{name}/words/odd.txt", b"odd")
    store.pipe_file(f"{name}/words/even.txt", b"even")
    said = {"key": "test", "secret": SECRET, "endpoint_url": s3_server.environment["AWS_ENDPOINT_URL"]}
    data.create_datastore(ws.transport, NewDatastore(name="lake", url=f"s3://{name}", credentials=said))
    (tmp_path / "batch.py").write_text(SCRIPT)
    (tmp_path / "nothing.txt").write_text("")
    yield name
    assert all(SECRET.encode() not in each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())


EXPECTED = [f"{each} {'odd' if each % 2 else 'even'}" for each in range(300)]


def test_rows_words_and_answers_lie_in_a_bucket(shell: Shell, s3_server: S3Server, bucket: str, store: Any, tmp_path: Path) -> None:
    run = ("batch", "run", "--script", "batch.py", "--requirements", "nothing.txt", "--side-input", f"words=s3://{bucket}/words")
    shell.ok("model", "register", "batch.py", "-n", "none")
    said = (*run, "none:1", "--in", f"s3://{bucket}/rows/", "--out", "datastore:lake/scores", "--keep", "id", "--format", "csv")
    with s3_server.misbehaving(slow_down=0.01, reset=0.01):
        done = shell(*said, "--mini-batch", "40rows", "-n", "first")
    assert done.code == 0, done.err
    outputs = json.loads(shell.ok("job", "outputs", "first", "--download", "fetched", "--json"))
    assert sum(each["rows"] for each in outputs) == 300
    found = pd.concat(pd.read_csv(tmp_path / "fetched" / each["path"]) for each in outputs)
    assert list(found.iloc[:, -1]) == EXPECTED
    for each in outputs:
        assert (tmp_path / "fetched" / each["path"]).read_bytes() == store.cat(f"{bucket}/scores/{each['path']}")
    refused = shell(*said, "--mini-batch", "50rows", "-n", "second")
    assert refused.code != 0
    assert "mini_batch was" in refused.err
    assert "--overwrite" in refused.err
    shell.ok(*said, "--mini-batch", "50rows", "-n", "third", "--overwrite")
    manifest = json.loads(store.cat(f"{bucket}/scores/_manifest.json"))
    assert (manifest["totals"]["rows"], manifest["totals"]["mini_batches"]) == (300, 6)


def test_a_step_writes_into_a_datastore_and_its_output_is_downloaded(ws: Workspace, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lake = Datastore.get(ws, "lake")
    config = ParallelRunConfig(
        Environment.from_pip_requirements("nothing", "nothing.txt"),
        "batch.py",
        error_threshold=0,
        output_action="append_row",
        node_count=1,
        mini_batch_size="1KB",
    )
    Model.register(ws, "batch.py", "none")
    words = Dataset.File.from_files((lake, "words")).as_named_input("words").as_mount()
    step = ParallelRunStep(
        "say", config, inputs=[f"s3://{bucket}/rows/*.csv"], side_inputs=[words], output=PipelineData("said", datastore=lake), models=["none:1"]
    )
    run = Experiment(ws, "remote").submit(Pipeline(ws, [step]))
    assert run.wait_for_completion() == "Finished"
    assert run.find_step_run("say")[0].get_output_data("said").download("results") == 1
    assert (tmp_path / "results/azureml" / run.id / "said/parallel_run_step.txt").read_text().splitlines() == EXPECTED

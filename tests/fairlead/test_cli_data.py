"""`fairlead datastore`, `dataset`, `compute` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.deploying import Shell
from tests.s3 import S3Server

SECRET = "a-secret-that-nobody-reads"


@pytest.fixture
def lake(s3_server: S3Server, tmp_path: Path) -> Path:
    said = {"key": "test", "secret": SECRET, "endpoint_url": s3_server.environment["AWS_ENDPOINT_URL"]}
    path = tmp_path / "lake.json"
    path.write_text(json.dumps(said))
    return path


def test_a_datastore_from_its_making_to_its_end(shell: Shell, s3_server: S3Server, lake: Path) -> None:
    bucket = s3_server.make_bucket()
    told = shell.ok("datastore", "create", "lake", f"s3://{bucket}/raw", "--credentials-file", lake)
    assert "the secret datastore.lake" in told
    (shell.folder / "data").mkdir()
    (shell.folder / "data" / "a.csv").write_text("x\n1\n")
    (shell.folder / "b.csv").write_text("x\n2\n")
    assert shell.ok("datastore", "upload", "data", "b.csv", "-n", "lake", "-t", "in", "-q").strip() == "lake/in"
    assert json.loads(shell.ok("datastore", "list", "lake", "--json"))[1]["path"] == "in/b.csv"
    assert "Fetched 2 files" in shell.ok("datastore", "download", "lake", "in/*.csv", "--target", "here")
    assert (shell.folder / "here" / "in" / "b.csv").read_text() == "x\n2\n"
    for command in (("datastore", "show", "lake", "--json"), ("audit", "list", "--json")):
        assert SECRET not in shell.ok(*command)
    shell.ok("datastore", "set-default", "lake")
    done = shell("datastore", "delete", "lake")
    assert (done.code, "is the default datastore" in done.err) == (2, True)
    shell.ok("datastore", "set-default", "workspaceblobstore")
    shell.ok("datastore", "delete", "lake")


def test_credentials_come_in_three_ways_and_not_as_arguments(shell: Shell, lake: Path) -> None:
    from_input = shell("datastore", "create", "one", "s3://bucket-one", "-f", "-", stdin=lake.read_text())
    assert from_input.code == 0, from_input.err
    variables = ("--credentials-env", "account_key=KEY", "--credentials-env", "account_name=NAME")
    place = "https://acct.blob.core.windows.net/data"
    by_variable = shell("datastore", "create", "two", place, *variables, env={"KEY": "a2V5", "NAME": "acct"})
    assert by_variable.code == 0, by_variable.err
    missing = shell("datastore", "create", "three", place, "--credentials-env", "account_key=NO_SUCH_VARIABLE")
    assert (missing.code, missing.err) == (2, "fairlead: The variable NO_SUCH_VARIABLE is not set; it was to be the account_key.\n")
    lake.write_text(f"{SECRET}\n")
    broken = shell("datastore", "create", "three", "s3://bucket", "-f", lake)
    assert (broken.code, "is no JSON object with credentials" in broken.err, SECRET in broken.err) == (2, True, False)


def test_a_data_set_from_a_registration_file(shell: Shell) -> None:
    """3.6: the file of the MLOps examples."""
    (shell.folder / "rows.csv").write_text("id;text\n1;a\n")
    shell.ok("datastore", "upload", "rows.csv", "--target-path", "raw")
    said = {
        "datasetType": "Tabular",
        "parameters": {"path": {"datastoreName": "workspaceblobstore", "relativePath": "raw/*.csv"}, "sourceType": "delimited_files", "separator": ";"},
        "registration": {"createNewVersion": True, "name": "rows", "description": "all", "tags": {"stage": "raw"}},
        "schemaVersion": 1,
    }
    (shell.folder / "dataset.json").write_text(json.dumps(said))
    made = json.loads(shell.ok("dataset", "register", "-f", "dataset.json", "--json"))
    assert (made["name"], made["version"], made["tags"], made["definition"]["options"]) == ("rows", 1, {"stage": "raw"}, {"delimiter": ";"})
    assert json.loads(shell.ok("dataset", "register", "-f", "dataset.json", "--json"))["id"] == made["id"]
    listed = json.loads(shell.ok("dataset", "register", "-f", "dataset.json", "--listed", "--json"))
    assert (listed["version"], listed["files"]) == (2, 1)
    assert shell.ok("dataset", "show", "rows:1", "--files", "-q").split() == ["rows.csv"]
    said["parameters"] = {"path": {"datastoreName": "workspaceblobstore"}, "colour": "red"}
    (shell.folder / "dataset.json").write_text(json.dumps(said))
    done = shell("dataset", "register", "-f", "dataset.json")
    assert (done.code, "parameters.colour is not known" in done.err) == (2, True)


def test_a_data_set_by_options(shell: Shell) -> None:
    (shell.folder / "rows.csv").write_text("id,text\n1,a\n")
    shell.ok("datastore", "upload", "rows.csv", "--target-path", "raw")
    where = "datastore:workspaceblobstore/raw"
    assert shell.ok("dataset", "register", "-n", "files", "--path", where, "-q").strip() == "files:1"
    options = ("--type", "tabular", "--format", "csv", "--option", "header=false", "--timestamp", "at", "--tag", "a=1")
    made = json.loads(shell.ok("dataset", "register", "-n", "files", "--path", where, *options, "--json"))
    assert (made["version"], made["definition"]["kind"], made["definition"]["options"], made["definition"]["timestamp"]) == (
        2,
        "Tabular",
        {"header": False},
        "at",
    )
    done = shell("dataset", "register", "-n", "files", "--path", f"{where}/x", "--new-only")
    assert (done.code, "it says otherwise" in done.err) == (2, True)
    assert "Fetched 1 file." in shell.ok("dataset", "download", "files", "--target", "here")
    assert (shell.folder / "here" / "rows.csv").read_text() == "id,text\n1,a\n"
    assert shell.ok("dataset", "list", "-q").split() == ["files"]
    assert shell.ok("dataset", "list", "files", "-q").split() == ["files:2", "files:1"]
    shell.ok("dataset", "delete", "files:2")
    shell.ok("dataset", "delete", "files")
    assert shell("dataset", "show", "files").code == 2
    assert shell("dataset", "register", "-n", "files").code == 2


def test_a_path_where_nothing_is_yet_is_said(shell: Shell) -> None:
    (shell.folder / "here.csv").write_text("id\n1\n")
    said = shell("dataset", "register", "-n", "rows", "--path", "gone.csv", "--path", "here.csv", "--path", "later/*.csv")
    assert (said.code, said.err.count("Nothing is at"), "Nothing is at gone.csv" in said.err) == (0, 1, True)


def test_a_pool_in_both_spellings(shell: Shell) -> None:
    made = shell.ok("compute", "create", "nightly", "--max-nodes", "2", "--priority", "low", "--option", "address=auto", "--engine", "ray")
    assert "lowpriority" in made
    assert "0 to 2, 0 now" in made
    create = ("computetarget", "create", "amlcompute", "-n", "cpu-cluster", "--vm-size", "STANDARD_D2_V2", "--max-nodes", "4", "--min-nodes", "1")
    shell.ok(*create, "--vm-priority", "lowpriority", "--idle-seconds-before-scaledown", "120")
    assert shell.ok("compute", "list", "-q").split() == shell.ok("computetarget", "list", "-q").split() == ["cpu-cluster", "nightly"]
    found = json.loads(shell.ok("computetarget", "show", "-n", "cpu-cluster", "--json"))
    assert (found["vm_size"], found["idle_seconds"], found["allocation"]["current_nodes"]) == ("STANDARD_D2_V2", 120, 1)
    assert "0 to 8" in shell.ok("compute", "update", "nightly", "--max-nodes", "8")
    assert json.loads(shell.ok("compute", "show", "nightly", "--jobs", "--json")) == []
    assert shell("compute", "update", "nightly").code == 2
    shell.ok("compute", "delete", "nightly")
    shell.ok("computetarget", "delete", "-n", "cpu-cluster")
    assert "computetarget" not in shell.ok("--help")

"""Batch services (1.C): declared parameters, runs with values, the same in the seeds' own dialect (2.7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead.client import data, models
from fairlead.client.transport import Transport
from fairlead.errors import Conflict, InUse, NotFound, UsageError
from fairlead.schemas.batch_services import BatchService, NewBatchService, NewServiceJob, Parameter, split_parameter
from fairlead.schemas.data import NewDatastore
from fairlead.schemas.jobs import Job, JobState
from fairlead.schemas.services import Code
from fairlead.schemas.wire import Page
from fairlead.sdk.uploads import upload_tree
from fairlead.stores import tree_of
from tests.fairlead.server.jobs.given import over
from tests.fairlead.server.registry.given import registered
from tests.fairlead.server.services.desk import Desk, refused

FOOD = [
    Parameter(id="--trained-model", default="/data/food.model"),
    Parameter(id="--input-data"),
    Parameter(id="--output-data", direction="Output"),
    Parameter(id="--p", kind="Value", default="wasbs://not:a@place"),
]
VALUES = {"--input-data": "/data/rows.csv", "--output-data": "output:scores.csv"}


def defined(owner: Transport, name: str, code: Code, **said: Any) -> BatchService:
    new = NewBatchService.model_validate({"name": name, "driver": code, "parameters": FOOD} | said)
    return owner.create(BatchService, owner.path("batch-services"), new)


def run(owner: Transport, service: str, job: str, values: dict[str, str]) -> Job:
    path = owner.path("batch-services", service, "jobs", job)
    return owner.send(Job, "PUT", path, body=NewServiceJob(parameters=values)).value


def order_of(desk: Desk, job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder_of(desk, job) / "job.json").read_text())
    return found


def folder_of(desk: Desk, job: Job) -> Path:
    return desk.context.settings.state_dir / "jobs" / f"job-{job.id[-12:]}"


def test_a_service_shows_how_it_is_used(owner: Transport, code: Code) -> None:
    service = defined(owner, "food-shown", code)
    assert (service.title, service.kind, service.version) == ("food-shown", "program", 1)
    assert service.usage == (
        "fairlead service run batch -n food-shown [--in=--trained-model:VALUE] --in=--input-data:VALUE --out=--output-data:VALUE [--param=--p:VALUE] "
        "[-j JOB_ID] [-w]"
    )
    assert owner.get(BatchService, owner.path("batch-services", "food-shown")) == service
    with pytest.raises(Conflict, match="already"):
        defined(owner, "food-shown", code)
    again = defined(owner, "food-shown", code, parameters=FOOD[:1], overwrite=True, title="Food")
    assert (again.id, again.version, again.title, len(again.parameters)) == (service.id, 2, "Food", 1)
    assert "food-shown" in [each.name for each in owner.get(Page[BatchService], owner.path("batch-services"), {"limit": 500}).items]
    owner.request("DELETE", owner.path("batch-services", "food-shown"))
    with pytest.raises(NotFound, match="no batch service 'food-shown'"):
        owner.get(BatchService, owner.path("batch-services", "food-shown"))


def test_a_run_gives_the_driver_the_values_in_the_order_of_their_declaration(owner: Transport, code: Code, desk_of_all: Desk) -> None:
    defined(owner, "food", code)
    job = run(owner, "food", "monday", VALUES)
    assert (job.name, job.service, job.kind) == ("monday", "food", "program")
    assert job.parameters == {"--trained-model": "/data/food.model", "--p": "wasbs://not:a@place", **VALUES}
    assert over(owner, job.id).state is JobState.SUCCEEDED
    program = order_of(desk_of_all, job)["program"]
    assert program["driver"] == "score.py"
    assert [(each["id"], each["value"]) for each in program["parameters"]] == [
        ("--trained-model", "/data/food.model"),
        ("--input-data", "/data/rows.csv"),
        ("--output-data", str(folder_of(desk_of_all, job) / "output" / "scores.csv")),
        ("--p", "wasbs://not:a@place"),
    ]
    assert run(owner, "food", "monday", VALUES).id == job.id
    with pytest.raises(Conflict, match="in other words"):
        run(owner, "food", "monday", VALUES | {"--p": "2"})
    assert [each.name for each in owner.get(Page[Job], owner.path("batch-services", "food", "jobs")).items] == ["monday"]
    shown = owner.get(Job, owner.path("batch-services", "food", "jobs", "monday"))
    assert (shown.id, shown.state) == (job.id, JobState.SUCCEEDED)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"--input-data": "/x"}, "Must provide value for service parameter --output-data: the batch service 'strict' has no default for it."),
        (VALUES | {"--wrong": "1"}, "The batch service 'strict' has no parameter --wrong; it has --input-data, --output-data, --p, --trained-model."),
        (VALUES | {"--input-data": "rows.csv"}, "no absolute path"),
        (VALUES | {"--input-data": "tree:nonsense"}, "names no uploaded tree"),
        (VALUES | {"--input-data": "tree:" + "0" * 64}, "not in this workspace"),
        (VALUES | {"--input-data": "dataset:absent"}, "no data set 'absent'"),
        (VALUES | {"--output-data": "output:../x"}, "plain relative name"),
        (VALUES | {"--output-data": "datastore:absent/x"}, "no datastore 'absent'"),
    ],
)
def test_values_that_do_not_fit_are_refused_in_words(owner: Transport, code: Code, values: dict[str, str], sentence: str) -> None:
    defined(owner, "strict", code, overwrite=True)
    with pytest.raises((UsageError, NotFound)) as found:
        run(owner, "strict", "refused", values)
    assert sentence in str(found.value)


def test_an_uploaded_file_is_laid_down_and_given_as_a_path(owner: Transport, code: Code, desk_of_all: Desk, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    tree = upload_tree(owner, tree_of(tmp_path / "rows.csv"), tmp_path / "rows.csv")
    defined(owner, "uploads", code, parameters=[*FOOD[:1], FOOD[1].model_copy(update={"default": f"tree:{tree}"}), *FOOD[2:]])
    job = run(owner, "uploads", "one", {"--output-data": "/data/out.csv"})
    over(owner, job.id)
    given = order_of(desk_of_all, job)["program"]["parameters"][1]["value"]
    assert Path(given).read_text() == "a,b\n1,2\n"
    assert Path(given).name == "rows.csv"


def test_a_models_service_scores_its_input_to_its_output(owner: Transport, code: Code, desk_of_all: Desk, tmp_path: Path) -> None:
    registered(owner, "food-model")
    new = {"name": "scorer", "models": ["food-model"], "code": code, "input_format": "csv", "keep": ["id"], "mini_batch": {"rows": 5}, "arguments": ["-v"]}
    service = owner.create(BatchService, owner.path("batch-services"), NewBatchService.model_validate(new))
    assert (service.kind, service.models, [each.id for each in service.parameters]) == ("score", ["food-model:1"], ["--input", "--output"])
    with pytest.raises(InUse, match="batch-service scorer"):
        models.delete_version(owner, "food-model:1")
    job = run(owner, "scorer", "one", {"--input": "/data/rows.csv", "--output": str(tmp_path / "scores")})
    assert over(owner, job.id).state is JobState.SUCCEEDED
    order = order_of(desk_of_all, job)
    assert (order["kind"], order["inputs"][0]["urls"], order["inputs"][0]["format"]) == ("score", ["/data/rows.csv"], "csv")
    assert (order["output"]["url"], order["output"]["keep"], order["mini_batch"]["rows"]) == (str(tmp_path / "scores"), ["id"], 5)
    assert len(list((tmp_path / "scores").glob("part-*"))) == 3
    kept = run(owner, "scorer", "two", {"--input": "/data/rows.csv"})
    assert over(owner, kept.id).output_url == (folder_of(desk_of_all, kept) / "output").as_uri()
    owner.request("DELETE", owner.path("batch-services", "scorer"))
    models.delete_version(owner, "food-model:1")


@pytest.mark.parametrize(
    ("said", "name", "value"),
    [("--x", "--x", None), ("--x:1", "--x", "1"), ("--x:wasb://c@a/f:1", "--x", "wasb://c@a/f:1"), ("--x:C:\\a", "--x", "C:\\a"), ("--x:", "--x", "")],
)
def test_the_first_colon_splits(said: str, name: str, value: str | None) -> None:
    assert split_parameter(said) == (name, value)


def seeds(owner: Transport, *path: str) -> str:
    return "/".join([f"/azureml/workspaces/{owner.workspace}/v1", *path])


def definition(code: Code) -> dict[str, Any]:
    """2.7a, as the seeds' client writes it."""
    return {
        "Title": "Food",
        "Assets": [{"Id": "driver", "Uri": f"tree:{code.tree}/{code.entry_script}"}, {"Id": "model", "Uri": "/data/food.model"}],
        "Parameters": [
            {"Id": "--trained-model", "IsRuntime": True, "IsOptional": True, "Kind": "Reference", "Direction": "Input", "Value": "model"},
            {"Id": "--input-data", "IsRuntime": True, "IsOptional": False, "Kind": "Reference", "Direction": "Input"},
            {"Id": "--output-data", "IsRuntime": True, "IsOptional": False, "Kind": "Reference", "Direction": "Output"},
        ],
        "PackageType": "Spark20",
        "Package": {"DriverProgramAsset": "driver", "JarAssets": [], "PythonAssets": [], "FileAssets": [], "ArchiveAssets": [], "Configuration": {}},
        "DockerImageUri": "",
    }


def test_the_seeds_client_finds_its_own_rest(owner: Transport, code: Code) -> None:
    http = owner.http
    assert http.get(seeds(owner, "health")).status_code == 200
    for name, url in (("seeds-a", "abfss://in@storageacct.dfs.core.windows.net/x"), ("seeds-b", "s3://seeds-bucket/raw")):
        data.create_datastore(owner, NewDatastore(name=name, url=url, credentials={"account_key": "a2V5"} if "acct" in url else {"key": "k", "secret": "s"}))
    assert {"Value": "storageacct"} in (storage := http.get(seeds(owner, "deploymentinfo")).json()["Storage"])
    assert {"Value": "seeds-bucket"} in storage
    put = http.put(seeds(owner, "webservices", "seeds"), json=definition(code))
    assert put.status_code == 200, put.text
    shown = http.get(seeds(owner, "webservices", "seeds")).json()
    assert (shown["Name"], shown["Title"], shown["PackageType"]) == ("seeds", "Food", "Spark20")
    assert [(each["Id"], each["IsOptional"], each.get("Value")) for each in shown["Parameters"]] == [
        ("--trained-model", True, "/data/food.model"),
        ("--input-data", False, None),
        ("--output-data", False, None),
    ]
    assert http.put(seeds(owner, "webservices", "seeds"), json=definition(code)).json()["Id"] == shown["Id"], "PUT replaces"
    job = seeds(owner, "webservices", "seeds", "jobs", "2026-01-31_120000")
    started = http.put(job, json={"Parameters": VALUES})
    assert (started.status_code, started.headers["location"]) == (202, job)
    assert started.json()["State"] in ("NotStarted", "InProgress")
    assert http.put(job, json={"Parameters": VALUES}).json()["JobId"] == "2026-01-31_120000"
    over(owner, "2026-01-31_120000")
    ended = http.get(job).json()
    assert (ended["WebServiceId"], ended["State"]) == ("seeds", "Succeeded")
    assert [each["JobId"] for each in http.get(seeds(owner, "webservices", "seeds", "jobs")).json()] == ["2026-01-31_120000"]
    assert http.post(f"{job}/cancel").json()["State"] == "Succeeded"
    assert "seeds" in [each["Name"] for each in http.get(seeds(owner, "webservices")).json()]
    assert http.delete(seeds(owner, "webservices", "seeds")).status_code == 200
    assert http.get(seeds(owner, "webservices", "seeds")).status_code == 404


def test_errors_are_said_as_the_seeds_client_prints_them(owner: Transport, code: Code) -> None:
    answer = owner.http.get(seeds(owner, "webservices", "absent"))
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert "no batch service 'absent'" in answer.json()["error"]["details"][0]["message"]
    owner.http.put(seeds(owner, "webservices", "said"), json=definition(code))
    answer = owner.http.put(seeds(owner, "webservices", "said", "jobs", "x"), json={"Parameters": {}})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["message"].startswith("Must provide value for service parameter --input-data")
    strange = definition(code) | {"Package": {"DriverProgramAsset": "none"}}
    assert "not among the assets" in owner.http.put(seeds(owner, "webservices", "said"), json=strange).json()["error"]["details"][0]["message"]
    refused_token = owner.http.get(seeds(owner, "health"), headers={"authorization": "Bearer fl_wrong"})
    assert (refused_token.status_code, list(refused_token.json())) == (401, ["error"])
    assert refused(owner, "GET", owner.path("batch-services", "absent"))[0] == 404


def test_a_driver_that_lies_on_the_servers_machine_is_taken_in(owner: Transport, code: Code, desk_of_all: Desk, tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text("print(1)")
    (tmp_path / "beside.py").write_text("x = 1")
    said = definition(code)
    said["Assets"] = [{"Id": "d", "Uri": str(tmp_path / "driver.py")}, {"Id": "b", "Uri": f"file://{tmp_path}/beside.py"}, said["Assets"][1]]
    said["Package"] = {"DriverProgramAsset": "d", "PythonAssets": ["b"]}
    shown = owner.http.put(seeds(owner, "webservices", "local-driver"), json=said).json()
    tree, _, script = shown["Assets"][0]["Uri"].removeprefix("tree:").partition("/")
    assert script == "driver.py"
    service = owner.get(BatchService, owner.path("batch-services", "local-driver"))
    assert service.driver == Code(tree=tree, entry_script="driver.py")
    job = owner.http.put(seeds(owner, "webservices", "local-driver", "jobs", "j"), json={"Parameters": VALUES})
    assert job.status_code == 202, job.text
    found = over(owner, owner.get(Job, owner.path("batch-services", "local-driver", "jobs", "j")).id)
    assert sorted(each.name for each in (Path(order_of(desk_of_all, found)["bundle"]) / "code").iterdir()) == ["beside.py", "driver.py"]

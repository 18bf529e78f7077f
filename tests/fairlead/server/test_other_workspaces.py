"""What belongs to one workspace is, for the owner of another, as if it were not: by name, by id, by digest. Made from the route table."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fairlead.client import access, compute, data, models
from fairlead.client.transport import Transport
from fairlead.schemas.access import NewWorkspace
from fairlead.schemas.batch_services import BatchService, NewBatchService, NewServiceJob
from fairlead.schemas.blobs import NewUpload, Upload
from fairlead.schemas.compute import NewPool
from fairlead.schemas.data import BUILTIN, NewDatasetVersion, NewDatastore
from fairlead.schemas.environments import EnvironmentVersion, NewEnvironmentVersion
from fairlead.schemas.images import Image, NewImage
from fairlead.schemas.jobs import Job
from fairlead.schemas.models import ModelVersion
from fairlead.schemas.services import Code, NewService, Revision, Service
from fairlead.schemas.wire import Page
from tests.control_plane import ControlPlane
from tests.fairlead.server.access_table import Operation, operations
from tests.fairlead.server.accounts.people import token_for
from tests.fairlead.server.data.putting import put
from tests.fairlead.server.registry.given import registered

NUMBERS = {"versions"}  # a version is a number within its name: the same everywhere
MAKES = {
    "PUT /v1/workspaces/{workspace}/members/{principal}",
    "PUT /v1/workspaces/{workspace}/secrets/{name}",
    "PUT /azureml/workspaces/{workspace}/v1/webservices/{name}",
}
"""Routes that make what is not there."""
BODIES: dict[str, Any] = {"aliases": {"version": 1}, "keys": {"key": "primary"}}
"""By the route's last word, where {} is not enough."""


@dataclass(frozen=True)
class Neighbours:
    """Two workspaces of one server; `there`: for each collection, something of the first one's, and the name of nothing."""

    ours: Transport
    theirs: Transport
    there: dict[str, tuple[str, str]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def neighbours(request: pytest.FixtureRequest) -> Iterator[Neighbours]:
    plane: ControlPlane = request.getfixturevalue(f"_{request.param}_plane")
    name = f"next-{uuid.uuid4().hex[:8]}"
    with plane.transport(workspace=f"{name}-a") as ours, plane.transport(workspace=f"{name}-b") as admin:
        for each in (ours, admin):
            access.create_workspace(each, NewWorkspace(name=each.workspace))
        there = _furnish(ours) | _furnish_jobs(ours, plane)
        with plane.transport(token_for(admin, f"{name}-owner", "owner").token, admin.workspace) as theirs:
            yield Neighbours(ours, theirs, there)


def _furnish(ours: Transport) -> dict[str, tuple[str, str]]:
    version = registered(ours, "churn")
    models.move_alias(ours, "churn:1", "champion")
    access.set_secret(ours, "password", "x")
    member = f"member-{uuid.uuid4().hex[:6]}"
    token = token_for(ours, member, "reader")
    upload = ours.create(Upload, ours.path("uploads"), NewUpload(digest=hashlib.sha256(b"later").hexdigest(), size=5))
    ours.create(EnvironmentVersion, ours.path("environments"), NewEnvironmentVersion(name="scoring", spec={}))
    put(ours, BUILTIN, "rows.csv", b"x")
    definition = {"kind": "File", "paths": [{"datastore": BUILTIN, "path": "rows.csv"}]}
    dataset = data.register_dataset(ours, NewDatasetVersion.of(name="rows", definition=definition))
    data.create_datastore(ours, NewDatastore(name="web", url=f"{ours.url}/v1/server"))
    compute.create(ours, NewPool(name="cluster"))
    ours.create(Service, ours.path("services"), NewService(name="live", models=["churn:1"]))
    image = ours.create(Image, ours.path("images"), NewImage(models=["churn:1"]))
    (revision,) = ours.get(Page[Revision], ours.path("services", "live", "revisions")).items
    assert upload.id is not None
    return {
        "members": (member, "member-nobody"),
        "tokens": (token.id, str(uuid.uuid4())),
        "secrets": ("password", "passport"),
        "models": ("churn", "chess"),
        "aliases": ("champion", "champignon"),
        "versions": ("1", "1"),
        "blobs": (version.tree, "0" * 64),
        "uploads": (upload.id, str(uuid.uuid4())),
        "environments": ("scoring", "scaring"),
        "services": ("live", "love"),
        "images": (image.id, str(uuid.uuid4())),
        "datasets": ("rows", "ruws"),
        "dataset-versions": (dataset.id, str(uuid.uuid4())),
        "datastores": ("web", "wab"),
        "compute": ("cluster", "clustor"),
        "trace": (revision.short_id, "0123456789ab"),
    }


def _furnish_jobs(ours: Transport, plane: ControlPlane) -> dict[str, tuple[str, str]]:
    """A batch service, and a job of it that has left a log and an answer, although it never ran."""
    tree = ours.get(ModelVersion, ours.path("models", "churn", "versions", "1")).tree
    body = NewBatchService(name="food", driver=Code(tree=tree, entry_script="driver.py"))
    ours.create(BatchService, ours.path("batch-services"), body)
    job = ours.create(Job, ours.path("batch-services", "food", "jobs"), NewServiceJob(name="monday"))
    folder = plane.state / "jobs" / f"job-{job.id[-12:]}"
    for path in ("logs/log.txt", "output/answer.txt"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("left")
    return {
        "batch-services": ("food", "feed"),
        "webservices": ("food", "feed"),
        "jobs": ("monday", "sunday"),
        "logs": ("log.txt", "lag.txt"),
        "outputs": ("answer.txt", "answers.txt"),
    }


def named_in(operation: Operation) -> list[str]:
    """The collections out of which a route's path names something."""
    return [each for each in re.findall(r"([a-z-]+)/{\w+", operation.path) if each != "workspaces"]


NAMING = [each for each in operations() if "workspace" in each.parameters and named_in(each)]


def ask(transport: Transport, operation: Operation, there: dict[str, tuple[str, str]], which: int) -> tuple[int, str]:
    """The status, and what was said with all names taken out. `which`: 0 what is there, 1 what is not."""
    path = operation.path.replace("{workspace}", transport.workspace)
    for collection in named_in(operation):
        path = re.sub(rf"{collection}/{{\w+(:\w+)?}}", f"{collection}/{there[collection][which]}", path)
    words = [each for each in operation.path.split("/") if not each.startswith("{")]
    body = json.dumps(BODIES.get(words[-1], {})) if operation.method in ("POST", "PUT", "PATCH") else None
    query = {"first": "1", "with": "1"} if operation.path.endswith("/diff") else {}
    if operation.path.endswith("/content"):
        query = {"path": "rows.csv" if "datasets/" in operation.path else ""}
    answer = transport.http.request(operation.method, path, content=body, params=query, headers={"content-type": "application/json", "upload-offset": "0"})
    said = re.sub(r'"(request_id|instance)": ?"[^"]*"', "", answer.text)
    for collection in named_in(operation):
        if collection not in NUMBERS:
            said = said.replace(there[collection][which], "NAME")
    return answer.status_code, said


@pytest.mark.parametrize("operation", [each for each in NAMING if str(each) not in MAKES], ids=str)
def test_what_is_of_another_workspace_is_as_if_it_were_not(neighbours: Neighbours, operation: Operation) -> None:
    unknown = [each for each in named_in(operation) if each not in neighbours.there]
    assert not unknown, f"Furnish the workspace of this test with something of {unknown}."
    hidden, absent = (ask(neighbours.theirs, operation, neighbours.there, which) for which in (0, 1))
    assert hidden == absent
    assert hidden[0] in (200, 400, 404, 416), hidden


@pytest.mark.parametrize("operation", [each for each in NAMING if each.method == "GET"], ids=str)
def test_what_the_test_names_is_there(neighbours: Neighbours, operation: Operation) -> None:
    """Else the other test would compare nothing with nothing."""
    status, said = ask(neighbours.ours, operation, neighbours.there, 0)
    assert status == 200, said

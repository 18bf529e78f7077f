"""Jobs of a batch service while the server is killed: what was asked for comes to its end, and nothing is there by half."""

from __future__ import annotations

import functools
from contextlib import suppress

from fairlead.errors import NotFound
from fairlead.schemas.batch_services import BatchService, NewBatchService, NewServiceJob, Parameter
from fairlead.schemas.jobs import Job, JobState
from fairlead.schemas.services import Code
from fairlead.sdk.uploads import upload_tree
from fairlead.stores import tree_of
from tests.faults.control_plane.world import World, Write, folder_with


def _driver(world: World) -> Code:
    folder = folder_with(world, "driver", driver__py="print(1)")
    with world.owner() as owner:
        return Code(tree=upload_tree(owner, tree_of(folder), folder), entry_script="driver.py")


def _define(world: World) -> None:
    output = Parameter(id="--out", direction="Output", default="output:answers")
    with world.owner() as owner:
        for name, shards in SHARDS.items():
            variables = {"SHARDS": shards, "PAUSE": "0.05"}
            new = NewBatchService(name=world.name(name), driver=_driver(world), parameters=[output], variables=variables, overwrite=True)
            owner.create(BatchService, owner.path("batch-services"), new)


def _is_defined(world: World) -> bool:
    with world.owner() as owner, suppress(NotFound):
        return all(owner.get(BatchService, owner.path("batch-services", world.name(name))).parameters for name in SHARDS)
    return False


def _run_job(world: World, service: str, name: str) -> str:
    """The job's id, once it is asked for."""
    with world.owner() as owner:
        path = owner.path("batch-services", world.name(service), "jobs", name)
        return owner.send(Job, "PUT", path, body=NewServiceJob()).value.id


def _score(world: World) -> None:
    _over(world, _run_job(world, "food", "scored"))


def _over(world: World, job: str) -> Job:
    with world.owner() as owner:
        while not (found := owner.get(Job, owner.path("jobs", job), {"wait": 20, "until": "settled"})).is_settled:
            continue
        return found


def _ended(world: World, service: str, name: str, state: JobState) -> bool:
    """A job that was asked for comes to its end, whatever was killed."""
    with world.owner() as owner:
        try:
            job = owner.get(Job, owner.path("batch-services", world.name(service), "jobs", name))
        except NotFound:
            return False
    found = _over(world, job.id)
    assert found.state in (JobState.SUCCEEDED, JobState.CANCELLED), (found.state, found.failure)
    return found.state is state


def _cancel_job(world: World) -> None:
    job = _run_job(world, "feast", "cancelled")
    with world.owner() as owner:
        owner.send(Job, "POST", owner.path("jobs", job, "cancel"))
    _over(world, job)


def _cancelled(world: World) -> bool:
    return _ended(world, "feast", "cancelled", JobState.CANCELLED)


def _delete_job(world: World) -> None:
    with world.owner() as owner, suppress(NotFound):
        owner.request("DELETE", owner.path("jobs", owner.get(Job, owner.path("batch-services", world.name("food"), "jobs", "scored")).id))


def _has_no_job(world: World) -> bool:
    with world.owner() as owner:
        try:
            owner.get(Job, owner.path("batch-services", world.name("food"), "jobs", "scored"))
        except NotFound:
            return True
        return False


def _delete_definition(world: World) -> None:
    with world.owner() as owner, suppress(NotFound):
        owner.request("DELETE", owner.path("batch-services", world.name("food")))  # the other stays


SHARDS = {"food": "3", "feast": "100000"}  # a service whose jobs end by themselves, and one whose jobs do not
JOBS = (
    Write("define a batch service", _define, _is_defined),
    Write("run a job", _score, functools.partial(_ended, service="food", name="scored", state=JobState.SUCCEEDED)),
    Write("cancel another", _cancel_job, _cancelled),
    Write("delete the job", _delete_job, _has_no_job, undoes=("run a job",)),
    Write("delete the batch service", _delete_definition, lambda world: not _is_defined(world), undoes=("define a batch service",)),
)

"""Datastores and data sets while the server is killed: a version is there once, whole, and numbered without gaps."""

from __future__ import annotations

import functools
from contextlib import suppress

from fairlead.client import data
from fairlead.errors import Conflict, NotFound
from fairlead.schemas.data import DataPath, DatasetDefinition, NewDatasetVersion, NewDatastore
from tests.faults.control_plane.world import World, Write


def _attach(world: World) -> None:
    with world.owner() as owner, suppress(Conflict):
        data.create_datastore(owner, NewDatastore(name=_store(world), url="https://data.example/rows", anonymous=True))


def _is_attached(world: World) -> bool:
    with world.owner() as owner:
        return _store(world) in [each.name for each in data.list_datastores(owner)]


def _register(world: World, path: str) -> None:
    definition = DatasetDefinition(kind="File", paths=[DataPath(datastore=_store(world), path=path)])
    with world.owner() as owner:
        data.register_dataset(owner, NewDatasetVersion(name=world.name("rows"), definition=definition, tags={"path": path}, create_new_version=True))


def _is_registered(world: World, path: str) -> bool:
    """Once: a version that says what the latest says is the latest."""
    with world.owner() as owner:
        try:
            found = list(data.list_versions(owner, world.name("rows")))
        except NotFound:
            return False
        assert sorted(each.version for each in found) == list(range(1, len(found) + 1))
        whole = [(each.definition.paths[0].path, each.tags.get("path")) for each in found]
        assert all(said == tag for said, tag in whole), whole
        assert len(set(whole)) == len(whole), whole
        return path in [said for said, _ in whole]


def _store(world: World) -> str:
    return world.name("store").replace("-", "_")


DATA = (
    Write("attach a datastore", _attach, _is_attached),
    Write("register a data set", functools.partial(_register, path="first/**"), functools.partial(_is_registered, path="first/**")),
    Write("register its next version", functools.partial(_register, path="second/**"), functools.partial(_is_registered, path="second/**")),
)

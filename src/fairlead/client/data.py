"""Datastores and data sets over HTTP: one function per route."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2

from fairlead.client.transport import Transport, checked
from fairlead.errors import Unavailable, UsageError
from fairlead.places import discard
from fairlead.schemas.data import (
    DataFile,
    Dataset,
    DatasetChange,
    DatasetVersion,
    Datastore,
    DefaultDatastore,
    NewDatasetVersion,
    NewDatastore,
    Placing,
)

_PATIENCE = httpx2.Timeout(60.0, read=3600.0)  # the server copies a large file to its place before it answers


def create_datastore(transport: Transport, new: NewDatastore) -> Datastore:
    """Not repeated when the connection breaks: its answer is not kept, as credentials came with it. Raises Conflict, UsageError."""
    return transport.send(Datastore, "POST", transport.path("datastores"), body=new).value


def list_datastores(transport: Transport) -> Iterator[Datastore]:
    return transport.each(Datastore, transport.path("datastores"))


def show_datastore(transport: Transport, name: str) -> Datastore:
    """Raises NotFound."""
    return transport.get(Datastore, transport.path("datastores", name))


def delete_datastore(transport: Transport, name: str) -> None:
    """Raises InUse."""
    transport.request("DELETE", transport.path("datastores", name))


def show_default(transport: Transport) -> Datastore:
    return transport.get(Datastore, transport.path("default-datastore"))


def set_default(transport: Transport, name: str) -> Datastore:
    return transport.send(Datastore, "PUT", transport.path("default-datastore"), body=DefaultDatastore.of(name=name)).value


def each_store_file(transport: Transport, name: str, path: str = "") -> Iterator[DataFile]:
    """Below `path`: a file, a folder or a pattern. Raises NotFound."""
    return transport.each(DataFile, transport.path("datastores", name, "files"), {"path": path})


def place_file(transport: Transport, name: str, body: Placing) -> DataFile:
    """Its content is uploaded before (`sdk.uploads.upload_blob`). Raises Conflict."""
    headers = {"content-type": "application/json"}
    path = transport.path("datastores", name, "files")
    response = transport.request("POST", path, content=body.model_dump_json(), headers=headers, timeout=_PATIENCE)
    return DataFile.model_validate_json(response.content)


def fetch_store_file(transport: Transport, name: str, path: str, target: Path) -> int:
    """Writes the file anew; answers its size."""
    return _fetch(transport, transport.path("datastores", name, "content"), {"path": path}, target)


def register_dataset(transport: Transport, new: NewDatasetVersion) -> DatasetVersion:
    """Raises Conflict for a name that is there, unless a new version is asked for."""
    return transport.create(DatasetVersion, transport.path("datasets"), new)


def list_datasets(transport: Transport, name: str | None = None) -> Iterator[Dataset]:
    """`name`: a part of it."""
    return transport.each(Dataset, transport.path("datasets"), {"name": name})


def list_versions(transport: Transport, name: str) -> Iterator[DatasetVersion]:
    """Newest first."""
    return transport.each(DatasetVersion, transport.path("datasets", name, "versions"))


def show_dataset(transport: Transport, name: str, version: str = "latest") -> DatasetVersion:
    """Raises NotFound."""
    return transport.get(DatasetVersion, _path(transport, name, version))


def show_dataset_by_id(transport: Transport, version_id: str) -> DatasetVersion:
    """Raises NotFound."""
    return transport.get(DatasetVersion, transport.path("dataset-versions", version_id))


def change_dataset(transport: Transport, name: str, version: str, body: DatasetChange) -> DatasetVersion:
    return transport.send(DatasetVersion, "PATCH", _path(transport, name, version), body=body).value


def delete_dataset(transport: Transport, name: str, version: str | None = None) -> None:
    """One version, or all with the name."""
    transport.request("DELETE", transport.path("datasets", name) if version is None else _path(transport, name, version))


def each_dataset_file(transport: Transport, name: str, version: str = "latest") -> Iterator[DataFile]:
    return transport.each(DataFile, f"{_path(transport, name, version)}/files")


def fetch_dataset_file(transport: Transport, name: str, version: str, file: DataFile, target: Path) -> int:
    """Writes the file anew; answers its size."""
    return _fetch(transport, f"{_path(transport, name, version)}/content", {"source": file.source, "path": file.path}, target)


def _path(transport: Transport, name: str, version: str) -> str:
    return transport.path("datasets", name, "versions", version)


def _fetch(transport: Transport, path: str, params: dict[str, str | int], target: Path) -> int:
    """Under another name until it is whole. Raises Unavailable when the connection broke."""
    new = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with transport.http.stream("GET", path, params=params) as response:
            size = _write(checked(response), new)
        new.replace(target)
    except httpx2.TransportError as fault:
        cure = "see `fairlead server status`, and try again"
        raise Unavailable(f"The connection to {transport.url} broke ({str(fault) or type(fault).__name__}); {cure}.") from fault
    except OSError as fault:
        raise UsageError(f"{target} cannot be written ({fault.strerror}); give another folder.") from fault
    finally:
        discard(new)
    return size


def _write(response: httpx2.Response, target: Path) -> int:
    size = 0
    with target.open("wb") as file:
        for piece in response.iter_raw():
            file.write(piece)
            size += len(piece)
    return size

"""`/v1/workspaces/{workspace}/datasets` and `…/dataset-versions`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response
from starlette.responses import StreamingResponse

from fairlead.errors import UsageError
from fairlead.schemas.data import DataFile, Dataset, DatasetChange, DatasetDefinition, DatasetName, DatasetVersion, NewDatasetVersion
from fairlead.schemas.data_urls import SQL
from fairlead.schemas.wire import Page, VersionWord
from fairlead.server.access import Contributor, Reader
from fairlead.server.conditional import IfMatch, show_tag
from fairlead.server.context import Parts
from fairlead.server.data import datasets, reading
from fairlead.server.data.routes import BYTES, Range
from fairlead.server.numbered import DATASETS
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing

router = Router(prefix="/v1/workspaces/{workspace}", tags=["data"])
Name = Annotated[DatasetName, Path(description="Of a data set; case does not count.")]
Version = Annotated[VersionWord, Path(description="A number, or latest.")]
Id = Annotated[str, Path(max_length=64, description="Of a version.")]
Source = Annotated[int, Query(ge=0, le=1000, description="Which of the data set's paths; as the list of files says it.")]
File = Annotated[str, Query(max_length=4096, description="Of one file, as the list of files says it.")]
Part = Annotated[str | None, Query(max_length=255, description="A part of the name.")]


@router.get("/datasets")
def list_datasets(access: Reader, session: Reading, pages: Pages, name: Part = None) -> Page[Dataset]:
    """Names, with what their versions come to."""
    return datasets.list_datasets(session, access.workspace_id, pages, name)


@router.post("/datasets", status_code=201, response_model=DatasetVersion)
def register_dataset(access: Contributor, parts: Parts, body: NewDatasetVersion, once: Repeatable) -> Response:
    """The next version of the name, or the latest when it says the same. Its paths must be for this workspace to read."""
    located = reading.find_all(parts, access.workspace_id, body.definition.paths)
    if (located[0].url.kind in SQL) != (body.definition.query is not None):
        raise UsageError(f"{located[0].url.text}: a database is read by a query, and only a database is.")
    found = reading.listing(parts, access.workspace_id, located) if body.listed else None
    if found is not None and not found:
        raise UsageError(f"There is no file at {located[0].url.text}; look at its name.")
    counted = None if found is None else datasets.Listing.of([each.file for each in found])
    with parts.database.writing() as session:
        return once.answer(session, access, body, lambda: datasets.register(session, access, body, counted))


@router.get("/datasets/{name}")
def show_dataset(access: Reader, session: Reading, name: Name, response: Response) -> Dataset:
    """One name, with its latest version."""
    row = DATASETS.named(session, access.workspace_id, name)
    show_tag(response, row)
    return datasets.dataset_to_wire(row)


@router.delete("/datasets/{name}", status_code=204)
def delete_dataset(access: Contributor, session: Writing, name: Name, if_match: IfMatch = None) -> None:
    """With all its versions; the data stays where it is."""
    datasets.delete(session, access, DATASETS.named(session, access.workspace_id, name, lock=True), if_match)


@router.get("/datasets/{name}/versions")
def list_dataset_versions(access: Reader, session: Reading, pages: Pages, name: Name) -> Page[DatasetVersion]:
    """Newest first."""
    return datasets.list_versions(session, DATASETS.named(session, access.workspace_id, name), pages)


@router.get("/datasets/{name}/versions/{version}")
def show_dataset_version(access: Reader, session: Reading, name: Name, version: Version, response: Response) -> DatasetVersion:
    """One version: what is read, and how."""
    row = DATASETS.version_of(session, access.workspace_id, name, version)
    show_tag(response, row)
    return datasets.to_wire(row)


@router.patch("/datasets/{name}/versions/{version}")
def change_dataset_version(
    access: Contributor, session: Writing, name: Name, version: Version, body: DatasetChange, response: Response, if_match: IfMatch = None
) -> DatasetVersion:
    """Description and tags; what is read never changes."""
    row = DATASETS.version_of(session, access.workspace_id, name, version)
    datasets.change(session, access, row, body, if_match)
    show_tag(response, row)
    return datasets.to_wire(row)


@router.delete("/datasets/{name}/versions/{version}", status_code=204)
def delete_dataset_version(access: Contributor, session: Writing, name: Name, version: Version, if_match: IfMatch = None) -> None:
    """The data stays where it is; the number is not given again."""
    datasets.delete_version(session, access, DATASETS.version_of(session, access.workspace_id, name, version), if_match)


@router.get("/datasets/{name}/versions/{version}/files")
def list_dataset_files(access: Reader, parts: Parts, session: Reading, pages: Pages, name: Name, version: Version) -> Page[DataFile]:
    """The files that are there now, source by source."""
    row = DATASETS.version_of(session, access.workspace_id, name, version)
    return reading.list_dataset(parts, access.workspace_id, DatasetDefinition.model_validate(row.definition), pages)


@router.get("/datasets/{name}/versions/{version}/content", response_class=StreamingResponse, responses=BYTES)
def show_dataset_file(
    access: Reader,
    parts: Parts,
    session: Reading,
    name: Name,
    version: Version,
    path: File,
    source: Source = 0,
    range: Range = None,  # noqa: A002 - the header's name
) -> Response:
    """The bytes of one of its files, or with `range: bytes=…` a part of them."""
    row = DATASETS.version_of(session, access.workspace_id, name, version)
    definition = DatasetDefinition.model_validate(row.definition)
    return reading.stream_dataset(parts, access.workspace_id, definition, (source, path), range)


@router.get("/dataset-versions/{version_id}")
def show_dataset_version_by_id(access: Reader, session: Reading, version_id: Id) -> DatasetVersion:
    """One version, by its id."""
    return datasets.to_wire(datasets.version_with_id(session, access.workspace_id, version_id))

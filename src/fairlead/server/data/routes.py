"""`/v1/workspaces/{workspace}/datastores` and `…/default-datastore`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Path, Query, Response
from starlette.responses import StreamingResponse

from fairlead.schemas.data import DataFile, DataPath, Datastore, DatastoreName, DefaultDatastore, NewDatastore, Placing
from fairlead.schemas.wire import Page
from fairlead.server.access import Contributor, Reader
from fairlead.server.conditional import IfMatch, show_tag
from fairlead.server.context import Parts
from fairlead.server.data import reading, stores
from fairlead.server.data.ground import ground_of
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing

router = Router(prefix="/v1/workspaces/{workspace}", tags=["data"])
Name = Annotated[DatastoreName, Path(description="Of a datastore; case does not count.")]
Below = Annotated[str, Query(max_length=4096, description="Below the datastore: a file, a folder, or a pattern with *, ? and **.")]
File = Annotated[str, Query(max_length=4096, description="Of one file, below the datastore.")]
Range = Annotated[str | None, Header(max_length=200, description="Such as bytes=0-999: a part of it.")]
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}, "description": "The part that `range` asked for."},
}


@router.get("/datastores")
def list_datastores(access: Reader, session: Reading, parts: Parts, pages: Pages) -> Page[Datastore]:
    """Where data lies, by name; never with credentials. The last is the one that is there by itself."""
    return stores.list_stores(session, ground_of(parts.settings), access.workspace_id, pages)


@router.post("/datastores", status_code=201, responses={200: {"model": Datastore, "description": "It was there, and is changed."}})
def create_datastore(access: Contributor, session: Writing, parts: Parts, body: NewDatastore, response: Response) -> Datastore:
    """Register a place. Its credentials become a secret of the workspace, and are never shown again."""
    made, is_new = stores.create(session, parts.seal, ground_of(parts.settings), access, body)
    if not is_new:
        response.status_code = 200
    return made


@router.get("/datastores/{name}")
def show_datastore(access: Reader, session: Reading, parts: Parts, name: Name, response: Response) -> Datastore:
    """One datastore, without its credentials."""
    row = stores.store_of(session, ground_of(parts.settings), access.workspace_id, name)
    show_tag(response, row)
    return stores.to_wire(row, stores.default_name(session, access.workspace_id))


@router.delete("/datastores/{name}", status_code=204)
def delete_datastore(access: Contributor, session: Writing, parts: Parts, name: Name, if_match: IfMatch = None) -> None:
    """Forget it and its credentials; the data stays. Refused while it is the default, or a data set is read from it."""
    stores.remove(session, ground_of(parts.settings), access, name, if_match)


@router.get("/datastores/{name}/files")
def list_datastore_files(access: Reader, parts: Parts, pages: Pages, name: Name, path: Below = "") -> Page[DataFile]:
    """Files below a path, by name."""
    return reading.list_store(parts, access.workspace_id, DataPath(datastore=name, path=path), pages)


@router.post("/datastores/{name}/files", status_code=201)
def put_datastore_file(access: Contributor, parts: Parts, name: Name, body: Placing) -> DataFile:
    """Make a file of a content that was uploaded (`…/uploads`), whole or not at all."""
    return reading.place(parts, access, name, body)


@router.get("/datastores/{name}/content", response_class=StreamingResponse, responses=BYTES)
def show_datastore_file(access: Reader, parts: Parts, name: Name, path: File, range: Range = None) -> Response:  # noqa: A002 - the header's name
    """The bytes of a file, or with `range: bytes=…` a part of them."""
    return reading.stream_store(parts, access.workspace_id, DataPath(datastore=name, path=path), range)


@router.get("/default-datastore")
def show_default_datastore(access: Reader, session: Reading, parts: Parts) -> Datastore:
    """The one that is used where nobody names one."""
    default = stores.default_name(session, access.workspace_id)
    return stores.to_wire(stores.store_of(session, ground_of(parts.settings), access.workspace_id, default), default)


@router.put("/default-datastore")
def set_default_datastore(access: Contributor, session: Writing, parts: Parts, body: DefaultDatastore) -> Datastore:
    """Choose the one that is used where nobody names one."""
    return stores.set_default(session, ground_of(parts.settings), access, body.name)

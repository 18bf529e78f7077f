"""The files of datastores and data sets over HTTP: lists in pages, bytes with ranges, new ones from contents that were uploaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from starlette.responses import Response

from fairlead.errors import UsageError
from fairlead.places import make_private
from fairlead.schemas.data import BUILTIN, DataFile, DataPath, DatasetDefinition, Placing
from fairlead.schemas.data_urls import base_of
from fairlead.schemas.wire import Page
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.blobs import service as blobs
from fairlead.server.blobs.ranges import answer_bytes
from fairlead.server.context import Context
from fairlead.server.data.ground import ground_of
from fairlead.server.data.resolving import Located, credentials_of, locate, locate_all
from fairlead.server.data.shelf import Found, Shelf, is_shown
from fairlead.server.paging import Paging, cursor_of


@dataclass(frozen=True)
class Listed:
    """path: below where its source begins: the folder before the first * of a pattern."""

    source: int
    path: str
    file: Found


def find(parts: Context, workspace_id: str, path: DataPath) -> Located:
    with parts.database.reading() as session:
        return locate(session, ground_of(parts.settings), workspace_id, path)


def find_all(parts: Context, workspace_id: str, paths: Sequence[DataPath]) -> list[Located]:
    with parts.database.reading() as session:
        return locate_all(session, ground_of(parts.settings), workspace_id, list(paths))


def list_store(parts: Context, workspace_id: str, path: DataPath, paging: Paging) -> Page[DataFile]:
    located = find(parts, workspace_id, path)
    return _page([Listed(0, each.path, each) for each in shelf_of(parts, workspace_id, located).each(located.path)], paging, [located])


def list_dataset(parts: Context, workspace_id: str, definition: DatasetDefinition, paging: Paging) -> Page[DataFile]:
    located = find_all(parts, workspace_id, definition.paths)
    return _page(listing(parts, workspace_id, located), paging, located)


def listing(parts: Context, workspace_id: str, located: Sequence[Located]) -> list[Listed]:
    """Of each source, by path; as a job reads it: names that begin with _ or a dot are left out."""
    found = []
    for source, each in enumerate(located):
        shelf = shelf_of(parts, workspace_id, each)
        base = _base(shelf, each)
        found += [Listed(source, file.path.removeprefix(base).lstrip("/"), file) for file in shelf.each(each.path, hidden=False)]
    return found


def stream_store(parts: Context, workspace_id: str, path: DataPath, asked: str | None) -> Response:
    located = find(parts, workspace_id, path)
    return stream(shelf_of(parts, workspace_id, located), located.path, asked)


def stream_dataset(parts: Context, workspace_id: str, definition: DatasetDefinition, asked_for: tuple[int, str], asked: str | None) -> Response:
    """`asked_for`: source and path of the list. Raises UsageError for what is no file of this data set, whatever else the datastore has."""
    source, path = asked_for
    refusal = UsageError(f"{path[:200]!r} of source {source} is no file of this data set; take both from its list of files.")
    if source >= len(definition.paths):
        raise refusal
    located = find_all(parts, workspace_id, definition.paths)[source]
    shelf = shelf_of(parts, workspace_id, located)
    base = _base(shelf, located)
    whole = f"{base}/{path}".strip("/")
    if not is_shown(path) or not _is_of(located, whole):
        raise refusal
    return stream(shelf, whole, asked)


def place(parts: Context, access: Access, name: str, body: Placing) -> DataFile:
    """The store's bytes become a file; no transaction is open while they travel."""
    with parts.database.reading() as session:
        size = blobs.size_of(session, access.workspace_id, body.digest)
    if size != body.size:
        raise UsageError(f"The content of {body.path} was announced with {body.size} bytes, and has {size}.")
    located = find(parts, access.workspace_id, DataPath(datastore=name, path=body.path))
    shelf = shelf_of(parts, access.workspace_id, located)
    with parts.store.open(body.digest) as stream:
        made = shelf.put(located.path, stream, size, overwrite=body.overwrite)
    with parts.database.writing() as session:
        audit.record(session, access, "put", "datastore", access.workspace_id, f"{located.datastore}/{body.path}"[:300], digest=body.digest, size=size)
    return _to_wire(Listed(0, made.path, made), located)


def _page(found: Sequence[Listed], paging: Paging, located: Sequence[Located]) -> Page[DataFile]:
    """The list is made anew for each page: places have no cursors in common."""
    after = paging.after
    if after is not None and [type(each) for each in after] != [int, str]:
        raise UsageError("This `after` is no cursor of this list; take it from `next` of the page before, or leave it out.")
    rest = [each for each in found if after is None or (each.source, each.path) > after]
    shown = rest[: paging.limit]
    last = cursor_of([shown[-1].source, shown[-1].path]) if len(rest) > paging.limit else None
    return Page(items=[_to_wire(each, located[each.source]) for each in shown], next=last)


def _to_wire(listed: Listed, located: Located) -> DataFile:
    file = listed.file
    url = f"{located.root.text.rstrip('/')}/{file.path}" if located.url.kind == "folder" else None
    return DataFile(path=listed.path, size=file.size, stamp=file.stamp, source=listed.source, url=url)


def _base(shelf: Shelf, located: Located) -> str:
    """What names of files begin at: a folder's own, else that of the file or pattern."""
    if located.url.has_pattern:
        return base_of(located.path)
    return located.path.rpartition("/")[0] if located.path and shelf.has_file(located.path) else located.path


def _is_of(located: Located, path: str) -> bool:
    if located.url.has_pattern:
        from fsspec.utils import glob_translate  # noqa: PLC0415 - a server that starts need not wait for it

        return re.match(glob_translate(located.path), path) is not None
    return path == located.path or path.startswith(f"{located.path}/".lstrip("/"))


def stream(shelf: Shelf, path: str, asked: str | None) -> Response:
    """The bytes of one file, or the part that `range` asked for. Raises NotFound."""
    return answer_bytes(partial(shelf.open, path), shelf.file(path).size, asked)


def shelf_of(parts: Context, workspace_id: str, located: Located) -> Shelf:
    """Opened with the secret that it names. Raises NotFound when that is gone."""
    ground = ground_of(parts.settings)
    if located.datastore == BUILTIN:
        make_private(ground.folder_of(workspace_id))
    with parts.database.reading() as session:
        options = credentials_of(session, parts.seal, workspace_id, located)
    return Shelf(located.root, options, partial(ground.check, workspace_id=workspace_id))

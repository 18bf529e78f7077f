"""A model that lies in a datastore, by its URL or as datastore:NAME/PATH: fetched through the server, which has the credentials."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from fairlead.client import data
from fairlead.client.transport import Transport
from fairlead.errors import Forbidden, NotFound
from fairlead.schemas.data_urls import read_url
from fairlead.sdk.batch_data import DATASTORE, URL


def lies_elsewhere(said: str) -> bool:
    return said.startswith(DATASTORE) or URL.match(said) is not None


def fetch(transport: Transport, said: str, folder: Path) -> Path:
    """The file or folder, below `folder`. Raises NotFound, and Forbidden for a URL that is in no datastore of the workspace."""
    store, path = _place(transport, said)
    files = list(data.each_store_file(transport, store, path))
    if not files:
        raise NotFound(f"There is no model at {said}.")
    target = folder / (PurePosixPath(path).name or store)
    for each in files:
        below = PurePosixPath(each.path).relative_to(path) if each.path != path else PurePosixPath()
        data.fetch_store_file(transport, store, each.path, target / below)
    return target


def _place(transport: Transport, said: str) -> tuple[str, str]:
    """Datastore, and path below it."""
    if said.startswith(DATASTORE):
        name, _, path = said.removeprefix(DATASTORE).partition("/")
        return name, path.strip("/")
    url = read_url(said)
    holding = [(each.url, each.name) for each in data.list_datastores(transport) if read_url(each.url).holds(url)]
    if not holding:
        raise Forbidden(f"{said} is in no datastore of this workspace, so there are no credentials for it. `fairlead datastore create` makes one.")
    root, name = max(holding, key=lambda each: len(each[0]))
    return name, url.text.removeprefix(read_url(root).text).strip("/")

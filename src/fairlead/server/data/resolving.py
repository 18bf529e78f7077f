"""What a job is told of its data: URLs and options, the name of the secret that opens them, and the line of lineage.

A wish, plain JSON: one of `dataset` ("name" or "name:3"), `datastore` (with `path`, or `query` for a database), `urls` or `url`, `definition` (of a
data set that is not registered); with them format, options, columns, timestamp, before, after, and `credentials` (the name of a secret).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy.orm import Session

from fairlead.errors import Forbidden, UsageError
from fairlead.schemas.data import DataPath, DatasetDefinition, parse_dataset
from fairlead.schemas.data_urls import SQL, Url, read_url
from fairlead.schemas.mistakes import first_mistake
from fairlead.server.accounts.secrets import open_secrets, refuse_missing
from fairlead.server.data import credentials, stores
from fairlead.server.data.ground import Ground
from fairlead.server.numbered import DATASETS
from fairlead.server.sealing import Seal
from fairlead.server.tables.data import DatastoreRow

_REFINING = ("format", "options", "columns", "timestamp", "before", "after", "query")


@dataclass(frozen=True)
class Located:
    """A place, and the name of the secret that opens it; None: nothing is needed, or the server's own profile is used. root: of its datastore."""

    url: Url
    root: Url
    secret: str | None = None
    datastore: str | None = None

    @property
    def path(self) -> str:
        """Below the root."""
        return self.url.text.removeprefix(self.root.text).lstrip("/")


class Resolved(NamedTuple):
    """fields: of `fairlead_scoring.batch.job.Input`, as JSON; `credentials` is the name of a secret. lineage: name, digest (or null), dataset_id."""

    fields: dict[str, Any]
    secret: str | None
    lineage: dict[str, Any]


def resolve(session: Session, ground: Ground, workspace_id: str, wish: Mapping[str, Any]) -> Resolved:
    """Raises NotFound, UsageError, and Forbidden for what no datastore has credentials for, or is not for data."""
    definition, lineage = _defined(session, workspace_id, wish)
    located = locate_all(session, ground, workspace_id, definition.paths, secret=wish.get("credentials"))
    first = located[0]
    fields = definition.model_dump(mode="json", include={"options", "columns", "before", "after", "timestamp"})
    fields["format"] = "files" if definition.kind == "File" else definition.format
    fields["credentials"] = first.secret
    if first.url.kind in SQL:
        if definition.query is None:
            raise UsageError(f"{first.url.text} is a database, which is read by a query; give one.")
        return Resolved(fields | {"database": first.url.text, "query": definition.query}, first.secret, lineage)
    if definition.query is not None:
        raise UsageError(f"{first.url.text} is no database, so it answers no query; leave it out.")
    return Resolved(fields | {"urls": [each.url.text for each in located]}, first.secret, lineage)


def credentials_of(session: Session, seal: Seal, workspace_id: str, located: Located) -> dict[str, Any]:
    """What fsspec, or a database's driver, is told; of a secret that somebody set by hand too. Raises NotFound when it is gone."""
    if located.secret is None:
        return {}
    content = open_secrets(session, seal, workspace_id, [located.secret])[located.secret]
    return credentials.read_secret(located.root, content, located.secret)


def locate_all(session: Session, ground: Ground, workspace_id: str, paths: list[DataPath], *, secret: str | None = None) -> list[Located]:
    """Of one data set. Raises UsageError when one secret does not open all of them."""
    found = [locate(session, ground, workspace_id, each, secret=secret) for each in paths]
    if len({each.secret for each in found}) > 1 or len({each.url.kind for each in found} - {"folder", "http"}) > 1:
        shown = " and ".join(sorted({str(each.datastore or each.url.text) for each in found}))
        raise UsageError(f"These paths are opened in different ways: {shown[:300]}. Make a data set for each datastore.")
    return found


def locate(session: Session, ground: Ground, workspace_id: str, path: DataPath, *, secret: str | None = None, profile: bool = False) -> Located:
    """Where it is, and what opens it; also of an output. `secret`: instead of a datastore's own. profile: the local server's own will do."""
    if secret is not None:
        refuse_missing(session, workspace_id, [secret])
    if path.datastore is not None:
        row = stores.store_of(session, ground, workspace_id, path.datastore)
        return _opened(ground, row, read_url(row.url).below(path.path), secret)
    url = read_url(str(path.url))
    holding = [row for row in stores.stores(session, ground, workspace_id) if read_url(row.url).holds(url)]
    if holding:
        return _opened(ground, max(holding, key=lambda row: len(row.url)), url, secret)
    if url.disk_path is not None:
        ground.check(url.disk_path, workspace_id)
    elif secret is None and url.kind != "http" and not (profile and ground.is_local):
        raise Forbidden(
            f"{url.text} is in no datastore of this workspace, so there are no credentials for it. Register its place with `fairlead datastore create NAME "
            f"{_place_of(url)} --credentials-file FILE` (or --anonymous, if everybody may read it), or copy the data into a datastore that there is."
        )
    return Located(url, url if url.kind in SQL else url.base, None if url.disk_path is not None else secret)


def _defined(session: Session, workspace_id: str, wish: Mapping[str, Any]) -> tuple[DatasetDefinition, dict[str, Any]]:
    refining = {name: wish[name] for name in _REFINING if wish.get(name) not in (None, "", {}, [])}
    if wish.get("dataset"):
        row = DATASETS.version_of(session, workspace_id, *parse_dataset(str(wish["dataset"])))
        refined = _definition({**row.definition, **refining, "options": {**row.definition["options"], **refining.get("options", {})}})
        return refined, {"name": f"{row.name}:{row.version}", "digest": row.digest, "dataset_id": row.id}
    if wish.get("definition"):
        made = _definition({**wish["definition"], **refining})
        return made, {"name": _shown(made.paths), "digest": None}
    paths = [{"datastore": wish["datastore"], "path": wish.get("path") or ""}] if wish.get("datastore") else []
    paths += [{"url": each} for each in wish.get("urls") or ([wish["url"]] if wish.get("url") else [])]
    kind = "File" if refining.get("format") == "files" else "Tabular"
    made = _definition({"kind": kind, "paths": paths, **refining})
    return made, {"name": _shown(made.paths), "digest": None}


def _definition(said: Mapping[str, Any]) -> DatasetDefinition:
    try:
        return DatasetDefinition.model_validate(dict(said))
    except ValidationError as error:
        raise UsageError(f"This input cannot be read: {first_mistake(error)}") from None


def _opened(ground: Ground, row: DatastoreRow, url: Url, secret: str | None) -> Located:
    if url.disk_path is not None:
        ground.check(url.disk_path, row.workspace_id)
        return Located(url, read_url(row.url), None, row.name)
    name = secret or row.secret
    if name is None and url.kind in stores.NEEDING and not ground.is_local:
        raise Forbidden(f"The datastore {row.name!r} has no credentials, and this server does not lend its own; give it some with --overwrite.")
    return Located(url, read_url(row.url), name, row.name)


def _place_of(url: Url) -> str:
    scheme, _, rest = url.text.partition("://")
    return f"{scheme}://{rest if url.kind == 'postgresql' else rest.partition('/')[0]}"


def _shown(paths: list[DataPath]) -> str:
    first = paths[0]
    said = f"datastore:{first.datastore}/{first.path}".rstrip("/") if first.datastore else read_url(str(first.url)).text
    return f"{said[:200]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}"

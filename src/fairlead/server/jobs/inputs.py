"""From what a job asks to read and write to what its driver is told: datasets and datastores become URLs, for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fairlead_scoring.batch.job import Input
from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.schemas.data import DataPath
from fairlead.schemas.jobs import JobInput, JobOutput
from fairlead.server.access import Access
from fairlead.server.accounts.secrets import refuse_missing
from fairlead.server.data.ground import ground_of
from fairlead.server.data.resolving import locate
from fairlead.server.data.resolving import resolve as resolve_data
from fairlead.server.jobs.places import check_database, check_place
from fairlead.server.settings import Settings

FIELDS = ("format", "options", "columns", "timestamp")


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """said: an `Input` without credentials. tree: laid down when the job starts, and its URL then. secret: of the workspace, whose value opens it."""

    said: Input
    tree: str | None = None
    secret: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"said": asdict(self.said), "tree": self.tree, "secret": self.secret}


def resolve(session: Session, settings: Settings, access: Access, wish: JobInput) -> Sequence[Resolved]:
    """What it means now. Raises NotFound, UsageError, Forbidden."""
    if wish.credentials is not None:
        refuse_missing(session, access.workspace_id, [wish.credentials])
    if wish.dataset is not None or wish.datastore is not None:
        return [_named(session, settings, access, wish)]
    plain: dict[str, Any] = {name: _tuple(getattr(wish, name)) for name in FIELDS}
    plain |= {name: None if (at := getattr(wish, name)) is None else at.isoformat() for name in ("before", "after")}
    if wish.database is not None:
        url = check_database(settings, wish.database)
        secret = _secret_of(session, settings, access, [url], wish.credentials)
        return [Resolved(said=Input(database=url, query=wish.query, **plain), secret=secret)]
    urls = tuple(check_place(settings, url) for url in wish.urls or ())
    return [Resolved(said=Input(urls=urls, **plain), tree=wish.tree, secret=_secret_of(session, settings, access, urls, wish.credentials))]


def resolve_output(session: Session, settings: Settings, access: Access, wish: JobOutput) -> tuple[str | None, str | None]:
    """URL and secret; no URL: the server keeps the answers. Raises NotFound, UsageError, Forbidden."""
    if wish.credentials is not None:
        refuse_missing(session, access.workspace_id, [wish.credentials])
    if wish.datastore is not None:
        return place_in(session, settings, access, wish.datastore, wish.path)
    if wish.url is None:
        return None, None
    url = check_database(settings, wish.url) if wish.table is not None else check_place(settings, wish.url, writes=True)
    return url, _secret_of(session, settings, access, [url], wish.credentials)


def place_in(session: Session, settings: Settings, access: Access, datastore: str, path: str) -> tuple[str, str | None]:
    """URL and secret of a path below a datastore. Raises NotFound, Forbidden, UsageError for a path that leads out."""
    found = locate(session, ground_of(settings), access.workspace_id, DataPath(datastore=datastore, path=path))
    return found.url.text, found.secret


def _named(session: Session, settings: Settings, access: Access, wish: JobInput) -> Resolved:
    """Of a data set or datastore."""
    said = wish.model_dump(mode="json", include={"dataset", "datastore", "path", "query", *FIELDS, "before", "after", "credentials"})
    fields, secret, _ = resolve_data(session, ground_of(settings), access.workspace_id, said)
    return Resolved(said=Input(**{name: _tuple(value) for name, value in fields.items() if name != "credentials"}), secret=secret)


def _secret_of(session: Session, settings: Settings, access: Access, urls: Sequence[str], given: str | None) -> str | None:
    """What was given, else that of the datastore that they lie in. Raises Forbidden for a foreign store, unless the server is its user's own."""
    paths = [DataPath(url=url) for url in urls]
    found = {locate(session, ground_of(settings), access.workspace_id, path, secret=given, profile=True).secret for path in paths}
    if len(found) > 1:
        raise UsageError(f"{urls[0][:200]} and the others are opened by different credentials; make an input of each.")
    return next(iter(found), given)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

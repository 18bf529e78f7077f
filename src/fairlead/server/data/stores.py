"""Rules and queries of datastores. The one that every workspace has is made up when it is asked for: a folder of the server's own."""

from __future__ import annotations

import json

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, Forbidden, InUse, NotFound, UsageError
from fairlead.schemas.data import BUILTIN, Datastore, NewDatastore
from fairlead.schemas.data_urls import read_url
from fairlead.schemas.wire import Page
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts import secrets
from fairlead.server.accounts.workspaces import keep_workspace
from fairlead.server.clock import now
from fairlead.server.conditional import check_tag
from fairlead.server.data import credentials
from fairlead.server.data.ground import Ground
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.sealing import Seal
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.data import DatasetVersionRow, DatastoreRow, DefaultDatastoreRow

NEEDING = ("s3", "gcs", "azure-blob")  # places that nobody enters without saying who they are
SECRET = "datastore."  # noqa: S105 - what names of such secrets begin with


def list_stores(session: Session, ground: Ground, workspace_id: str, paging: Paging) -> Page[Datastore]:
    """By name; the one that is there by itself stands at the end of the last page."""
    default = default_name(session, workspace_id)
    keys = [DatastoreRow.folded]
    rows = page_rows(session, select(DatastoreRow).where(_living(workspace_id)), keys, paging)
    shown = [to_wire(row, default) for (row,) in rows[: paging.limit]]
    after = cursor_after(rows, keys, paging)
    if after is None:
        shown.append(to_wire(builtin(session, ground, workspace_id), default))
    return Page(items=shown, next=after)


def store_of(session: Session, ground: Ground, workspace_id: str, name: str) -> DatastoreRow:
    """Raises NotFound."""
    if name.lower() == BUILTIN:
        return builtin(session, ground, workspace_id)
    row = _row(session, workspace_id, name)
    if row is None:
        raise NotFound(f"There is no datastore {name!r} in this workspace; `fairlead datastore list` shows those there are.")
    return row


def stores(session: Session, ground: Ground, workspace_id: str) -> list[DatastoreRow]:
    return [*session.scalars(select(DatastoreRow).where(_living(workspace_id))), builtin(session, ground, workspace_id)]


def builtin(session: Session, ground: Ground, workspace_id: str) -> DatastoreRow:
    made = session.scalar(select(WorkspaceRow.created_at).where(WorkspaceRow.id == workspace_id)) or now()
    said = {"kind": "folder", "url": str(ground.folder_of(workspace_id)), "description": "There by itself: a folder of the server.", "tags": {}}
    return DatastoreRow(
        id=workspace_id, workspace_id=workspace_id, name=BUILTIN, folded=BUILTIN, anonymous=False, created_at=made, updated_at=made, etag=1, **said
    )


def default_name(session: Session, workspace_id: str) -> str:
    chosen = select(DatastoreRow.name).join(DefaultDatastoreRow, DefaultDatastoreRow.datastore_id == DatastoreRow.id)
    return session.scalar(chosen.where(DefaultDatastoreRow.workspace_id == workspace_id)) or BUILTIN


def set_default(session: Session, ground: Ground, access: Access, name: str) -> Datastore:
    row = store_of(session, ground, access.workspace_id, name)
    keep_workspace(session, access)
    session.execute(delete(DefaultDatastoreRow).where(DefaultDatastoreRow.workspace_id == access.workspace_id))
    if row.name != BUILTIN:
        session.add(DefaultDatastoreRow(workspace_id=access.workspace_id, datastore_id=row.id))
    audit.record(session, access, "set-default", "datastore", row.id, row.name)
    return to_wire(row, row.name)


def create(session: Session, seal: Seal, ground: Ground, access: Access, body: NewDatastore) -> tuple[Datastore, bool]:
    """And whether it is new. Raises Conflict, Forbidden for a folder that is not for data, UsageError for credentials that are none of such a place."""
    keep_workspace(session, access)
    if body.name.lower() == BUILTIN:
        raise Conflict(f"{BUILTIN} is there by itself, and cannot be changed; choose another name.")
    url = read_url(body.url)
    if url.disk_path is not None:
        ground.check(url.disk_path, access.workspace_id)
    row = _row(session, access.workspace_id, body.name)
    if row is not None and not body.overwrite:
        raise Conflict(f"There is a datastore {row.name!r} already, at {row.url}; choose another name, or say that it may be overwritten.")
    is_new, at = row is None, now()
    if row is None:
        row = DatastoreRow(id=new_id(), workspace_id=access.workspace_id, name=body.name, folded=body.name.lower(), created_at=at, created_by=access.principal)
        row.etag, row.anonymous = 0, False
        session.add(row)
    elif row.secret is not None and read_url(row.url).text != url.text and not (body.credentials or body.secret or body.anonymous):
        raise UsageError(f"The datastore {row.name!r} would go on using the credentials of {row.url} at {url.text}; give credentials with the new place.")
    row.kind, row.url, row.description, row.tags = url.kind, url.text, body.description, dict(body.tags)
    row.updated_at, row.etag = at, row.etag + 1
    _give_credentials(session, seal, ground, access, row, body)
    audit.record(session, access, "create" if is_new else "change", "datastore", row.id, row.name, url=row.url, secret=row.secret)
    session.flush()
    return to_wire(row, default_name(session, access.workspace_id)), is_new


def remove(session: Session, ground: Ground, access: Access, name: str, if_match: str | None) -> None:
    """What lies there stays; the secret that was made for it goes. Raises InUse while it is the default, or a data set is read from it."""
    row = store_of(session, ground, access.workspace_id, name)
    if row.name == BUILTIN:
        raise Forbidden(f"{BUILTIN} is there by itself, and cannot be deleted.")
    check_tag(if_match, row, f"The datastore {row.name!r}")
    if default_name(session, access.workspace_id) == row.name:
        raise InUse(f"{row.name!r} is the default datastore; choose another first, with `fairlead datastore set-default {BUILTIN}`.")
    users = _users(session, access.workspace_id, row.name)
    if users:
        raise InUse(
            f"The datastore {row.name!r} is read by {', '.join(users[:3])}{', …' if users[3:] else ''}; delete those data sets first.", used_by=users[:50]
        )
    _forget_own(session, access, row, row.secret)
    row.deleted_at = row.updated_at = now()
    row.etag += 1
    audit.record(session, access, "delete", "datastore", row.id, row.name)


def to_wire(row: DatastoreRow, default: str) -> Datastore:
    said = {name: getattr(row, name) for name in ("id", "created_at", "created_by", "name", "kind", "url", "secret", "anonymous", "tags", "updated_at")}
    return Datastore(**said, description=row.description or "", is_default=row.name == default, builtin=row.name == BUILTIN)


def _give_credentials(session: Session, seal: Seal, ground: Ground, access: Access, row: DatastoreRow, body: NewDatastore) -> None:
    """An anonymous place has a secret too where its library must be told so: it opens like any other."""
    url, before, own = read_url(row.url), row.secret, f"{SECRET}{row.name}"
    options = credentials.anonymous(url) if body.anonymous else None if body.credentials is None else credentials.options_of(url, body.credentials)
    if options is not None:
        row.secret, row.anonymous = own, body.anonymous
        secrets.set_secret(session, seal, access, own, json.dumps(options).encode())
    elif body.secret is not None:
        secrets.refuse_missing(session, access.workspace_id, [body.secret])
        row.secret, row.anonymous = body.secret, False
    elif body.anonymous:
        row.secret, row.anonymous = None, True
    if before is not None and before != row.secret:
        _forget_own(session, access, row, before)
    if row.secret is None and not row.anonymous and not ground.is_local and url.kind in NEEDING:
        raise UsageError(f"{url.text} needs credentials: this server does not lend its own. Give them with --credentials-file, or say --anonymous.")


def _forget_own(session: Session, access: Access, row: DatastoreRow, secret: str | None) -> None:
    """The one that was made for it; it may be gone already."""
    if secret == f"{SECRET}{row.name}":
        try:
            secrets.delete_secret(session, access, secret)
        except NotFound:
            pass


def _users(session: Session, workspace_id: str, name: str) -> list[str]:
    living = (DatasetVersionRow.workspace_id == workspace_id, DatasetVersionRow.deleted_at.is_(None))
    rows = session.execute(select(DatasetVersionRow.name, DatasetVersionRow.version, DatasetVersionRow.definition).where(*living))
    return [f"{each}:{version}" for each, version, said in rows if any((path.get("datastore") or "").lower() == name.lower() for path in said["paths"])]


def _row(session: Session, workspace_id: str, name: str) -> DatastoreRow | None:
    return session.scalars(select(DatastoreRow).where(_living(workspace_id), DatastoreRow.folded == name.lower())).one_or_none()


def _living(workspace_id: str) -> ColumnElement[bool]:
    return and_(DatastoreRow.workspace_id == workspace_id, DatastoreRow.deleted_at.is_(None))

"""Are the contents there that rows need, whole, and owned by those whose they are?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sqlalchemy import func, select, update

from fairlead.errors import BlobNotFound, FairleadError, InvalidTree
from fairlead.server.maintenance import references
from fairlead.server.maintenance.findings import Finding, Ground
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.blobs import WorkspaceBlobRow
from fairlead.stores import Store
from fairlead.stores.store import chunks_of

LOST = "Restore the store from a backup, or upload the same files again; a version that nobody needs can be deleted."


def needed_contents(ground: Ground) -> Iterator[Finding]:
    """Every tree can be read, and every file in it has its size; deep: its digest."""
    known: dict[str, str] = {}
    for need in references.needs(ground.connection):
        if need.digest in known:
            fault = known[need.digest]
        else:
            fault = known[need.digest] = _fault_of(ground, need)
        if fault:
            yield Finding(what="content-lost", message=f"{need.table} {need.id} needs {need.digest}: {fault}", cure=LOST)


def owned_contents(ground: Ground) -> Iterator[Finding]:
    """What workspaces have uploaded is in the store."""
    asked = select(WorkspaceBlobRow.digest, func.max(WorkspaceBlobRow.size)).group_by(WorkspaceBlobRow.digest)
    for digest, size in ground.connection.execute(asked):
        ground.checked += 1
        found = ground.store.size(digest)
        if found != size:
            state = "is not in the store" if found is None else f"has {found} bytes, and {size} were uploaded"
            yield Finding(what="content-lost", message=f"The uploaded content {digest} {state}.", cure=LOST)
        elif ground.deep and _digest_of(ground.store, digest) != digest:
            yield Finding(what="content-damaged", message=f"The uploaded content {digest} is damaged: its bytes are others.", cure=LOST)


def counted_bytes(ground: Ground) -> Iterator[Finding]:
    """A workspace holds as many bytes as it is said to."""
    held = select(WorkspaceBlobRow.workspace_id, func.sum(WorkspaceBlobRow.size).label("held")).group_by(WorkspaceBlobRow.workspace_id).subquery()
    asked = select(WorkspaceRow.id, WorkspaceRow.name, WorkspaceRow.used_bytes, func.coalesce(held.c.held, 0))
    for row_id, name, said, counted in ground.connection.execute(asked.outerjoin(held, held.c.workspace_id == WorkspaceRow.id)).all():
        ground.checked += 1
        if said == counted:
            continue
        if ground.repair:
            ground.connection.execute(update(WorkspaceRow).where(WorkspaceRow.id == row_id).values(used_bytes=int(counted)))
        message = f"The workspace {name!r} holds {int(counted)} bytes, and its row says {said}."
        yield Finding(what="bytes-miscounted", message=message, cure="Run `fairlead server fsck --repair`, which counts anew.", repaired=ground.repair)


def _fault_of(ground: Ground, need: references.Need) -> str:
    """Empty when all is well."""
    try:
        contents = references.contents_of(ground.store, need)
    except (BlobNotFound, InvalidTree) as error:
        return str(error)
    for digest, size in contents.items():
        ground.checked += 1
        found = ground.store.size(digest)
        if found is None:
            return f"the content {digest} is not in the store."
        if size is not None and found != size:
            return f"the content {digest} has {found} bytes, and should have {size}."
        if ground.deep and _digest_of(ground.store, digest) != digest:
            return f"the content {digest} is damaged: its bytes are others."
    return ""


def _digest_of(store: Store, digest: str) -> str:
    hasher = hashlib.sha256()
    try:
        with store.open(digest) as stream:
            for chunk in chunks_of(stream):
                hasher.update(chunk)
    except FairleadError as error:
        return str(error)
    return hasher.hexdigest()

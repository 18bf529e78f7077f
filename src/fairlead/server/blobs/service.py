"""Rules and queries of content: who holds what, what is on its way, and how much a workspace may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fairlead.errors import BlobNotFound, QuotaExceeded, UploadNotFound
from fairlead.schemas.blobs import NewUpload
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.db import slices
from fairlead.server.ids import new_id
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.blobs import UploadRow, WorkspaceBlobRow


def list_missing(session: Session, workspace_id: str, digests: Sequence[str]) -> list[str]:
    """Those that the workspace has not uploaded, whatever the store holds for others."""
    wanted = list(dict.fromkeys(digests))
    owned = select(WorkspaceBlobRow.digest).where(WorkspaceBlobRow.workspace_id == workspace_id)
    there = {digest for part in slices(wanted) for digest in session.scalars(owned.where(WorkspaceBlobRow.digest.in_(part)))}
    return [digest for digest in wanted if digest not in there]


def size_of(session: Session, workspace_id: str, digest: str) -> int:
    """Raises BlobNotFound, also for content that only others have uploaded."""
    row = session.get(WorkspaceBlobRow, (workspace_id, digest))
    if row is None:
        raise BlobNotFound(f"There is no blob {digest} in this workspace; upload it first.")
    return row.size


def begin_upload(session: Session, access: Access, body: NewUpload) -> UploadRow | None:
    """The upload of this content in this workspace, begun or gone on with; None when the workspace has it. Raises QuotaExceeded."""
    workspace = session.scalars(select(WorkspaceRow).where(WorkspaceRow.id == access.workspace_id).with_for_update()).one()
    owned = session.get(WorkspaceBlobRow, (workspace.id, body.digest)) is not None
    if owned and not body.again:
        return None
    same = (UploadRow.workspace_id == workspace.id, UploadRow.digest == body.digest, UploadRow.size == body.size)
    begun = session.scalars(select(UploadRow).where(*same)).one_or_none()
    if begun is not None:
        return begun
    if not owned:
        _refuse_too_much(session, workspace, body.size)
    row = UploadRow(id=new_id(), workspace_id=workspace.id, digest=body.digest, size=body.size, created_at=now(), created_by=access.principal)
    session.add(row)
    return row


def upload_of(session: Session, workspace_id: str, upload_id: str) -> UploadRow:
    """Raises UploadNotFound, also for an upload of another workspace."""
    row = session.get(UploadRow, upload_id)
    if row is None or row.workspace_id != workspace_id:
        raise UploadNotFound(f"There is no upload {upload_id[:80]!r} here, or it is over; begin it again.")
    return row


def record_blob(session: Session, upload: UploadRow) -> None:
    """The upload's bytes are in the store: from now on they are the workspace's. Doing it twice counts once."""
    workspace = session.scalars(select(WorkspaceRow).where(WorkspaceRow.id == upload.workspace_id).with_for_update()).one()
    if session.get(WorkspaceBlobRow, (workspace.id, upload.digest)) is None:
        session.add(WorkspaceBlobRow(workspace_id=workspace.id, digest=upload.digest, size=upload.size, created_at=now()))
        workspace.used_bytes += upload.size
    forget_upload(session, upload.id)


def own(session: Session, workspace_id: str, sizes: Mapping[str, int]) -> set[str]:
    """What the server made for a workspace, and has put into the store, is its own as if it had been uploaded; answers what it did not have before.

    Raises QuotaExceeded.
    """
    workspace = session.scalars(select(WorkspaceRow).where(WorkspaceRow.id == workspace_id).with_for_update()).one()
    new = set(list_missing(session, workspace_id, list(sizes)))
    more = sum(sizes[digest] for digest in new)
    _refuse_too_much(session, workspace, more)
    session.add_all(WorkspaceBlobRow(workspace_id=workspace_id, digest=digest, size=sizes[digest], created_at=now()) for digest in sorted(new))
    workspace.used_bytes += more
    session.flush()
    return new


def forget_upload(session: Session, upload_id: str) -> None:
    session.execute(delete(UploadRow).where(UploadRow.id == upload_id))


def _refuse_too_much(session: Session, workspace: WorkspaceRow, size: int) -> None:
    if workspace.quota_bytes is None:
        return
    coming = session.scalar(select(func.coalesce(func.sum(UploadRow.size), 0)).where(UploadRow.workspace_id == workspace.id)) or 0
    if workspace.used_bytes + int(coming) + size <= workspace.quota_bytes:
        return
    raise QuotaExceeded(
        f"The workspace {workspace.name!r} may hold {workspace.quota_bytes:,} bytes; it holds {workspace.used_bytes:,}, {int(coming):,} are on their way, "
        f"and {size:,} more do not fit. Delete what is not needed, or ask an administrator for a larger quota.",
        quota_bytes=workspace.quota_bytes,
        used_bytes=workspace.used_bytes,
    )

"""Rules and queries of workspaces."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, Forbidden, InUse, NotFound
from fairlead.schemas.access import NewWorkspace, Workspace, WorkspaceChange
from fairlead.schemas.wire import Page, Role
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.tables.access import MembershipRow, TokenRow, WorkspaceRow
from fairlead.server.tables.services import ServiceRow


def list_workspaces(session: Session, access: Access, paging: Paging) -> Page[Workspace]:
    member = and_(MembershipRow.workspace_id == WorkspaceRow.id, MembershipRow.principal_id == access.principal_id)
    chosen = select(WorkspaceRow, MembershipRow.role).join(MembershipRow, member, isouter=access.is_admin).where(WorkspaceRow.deleted_at.is_(None))
    if access.reach is not None:
        chosen = chosen.where(WorkspaceRow.id == access.reach)
    keys = [WorkspaceRow.name]
    rows = page_rows(session, chosen, keys, paging)
    return Page(items=[to_wire(row, role) for row, role in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def create_workspace(session: Session, access: Access, body: NewWorkspace) -> Workspace:
    """Its creator is its first owner. Raises Conflict when one of that name lives."""
    taken = session.scalar(select(WorkspaceRow.id).where(WorkspaceRow.name == body.name, WorkspaceRow.deleted_at.is_(None)))
    if taken is not None:
        raise Conflict(f"There is a workspace {body.name!r} already; choose another name.")
    at = now()
    row = WorkspaceRow(id=new_id(), created_at=at, updated_at=at, created_by=access.principal, used_bytes=0, etag=1, **body.model_dump())
    session.add(row)
    session.flush()
    session.add(MembershipRow(workspace_id=row.id, principal_id=access.principal_id, role="owner"))
    audit.record(session, replace(access, workspace_id=row.id, workspace=row.name), "create", "workspace", row.id, row.name)  # the first line of its log
    return to_wire(row, "owner")


def workspace_of(session: Session, access: Access, *, lock: bool = False) -> WorkspaceRow:
    """The workspace of the request's path. `lock`: nobody else changes or deletes it, or who is in it, before this transaction ends. Raises NotFound."""
    chosen = select(WorkspaceRow).where(WorkspaceRow.id == access.workspace_id, WorkspaceRow.deleted_at.is_(None))
    row = session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None:
        raise NotFound(f"The workspace {access.workspace!r} was deleted a moment ago.")
    return row


def keep_workspace(session: Session, access: Access) -> None:
    """For what is made in a workspace: it is not deleted before this transaction ends. Raises NotFound when it just was."""
    found = session.scalar(select(WorkspaceRow.deleted_at.is_(None)).where(WorkspaceRow.id == access.workspace_id).with_for_update(read=True))
    if not found:
        raise NotFound(f"The workspace {access.workspace!r} was deleted a moment ago.")


def change_workspace(session: Session, access: Access, row: WorkspaceRow, body: WorkspaceChange) -> None:
    """Only an administrator changes a quota."""
    changes = body.model_dump(exclude_unset=True)
    if "quota_bytes" in changes and not access.is_admin:
        raise Forbidden("Only an administrator of the server changes a workspace's quota; ask one of them.")
    if changes.get("description", "") is None:
        changes["description"] = ""
    for name, value in changes.items():
        setattr(row, name, value)
    row.updated_at = now()
    row.etag += 1
    audit.record(session, access, "change", "workspace", row.id, row.name, **changes)


def delete_workspace(session: Session, access: Access, row: WorkspaceRow) -> None:
    """Its name is free again, its tokens are over; its rows stay for the audit. Raises InUse while services live in it."""
    living = session.scalars(
        select(ServiceRow.name).where(ServiceRow.workspace_id == row.id, ServiceRow.deleted_at.is_(None)).order_by(ServiceRow.name).limit(4)
    ).all()
    if living:
        named = ", ".join(living[:3]) + (", …" if len(living) > 3 else "")
        raise InUse(f"Services live in the workspace {row.name!r}: {named}. Delete them first, with `fairlead service delete NAME`.")
    at = now()
    row.deleted_at = row.updated_at = at
    row.etag += 1
    session.execute(update(TokenRow).where(TokenRow.workspace_id == row.id, TokenRow.revoked_at.is_(None)).values(revoked_at=at))
    audit.record(session, access, "delete", "workspace", row.id, row.name)


def roles_of(session: Session, access: Access) -> dict[str, Role]:
    """The living workspaces that the caller's token reaches, and the caller's role in each."""
    chosen = select(WorkspaceRow.name, MembershipRow.role).join(MembershipRow, MembershipRow.workspace_id == WorkspaceRow.id)
    chosen = chosen.where(MembershipRow.principal_id == access.principal_id, WorkspaceRow.deleted_at.is_(None)).order_by(WorkspaceRow.name)
    if access.reach is not None:
        chosen = chosen.where(WorkspaceRow.id == access.reach)
    return {name: cast(Role, role) for name, role in session.execute(chosen)}


def to_wire(row: WorkspaceRow, role: Role | None) -> Workspace:
    return Workspace(
        id=row.id,
        created_at=row.created_at,
        created_by=row.created_by,
        name=row.name,
        description=row.description,
        updated_at=row.updated_at,
        role=role,
        quota_bytes=row.quota_bytes,
        used_bytes=row.used_bytes,
    )

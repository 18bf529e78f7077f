"""Who is in a workspace, and as what. A workspace keeps an owner."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, NotFound
from fairlead.schemas.access import Member, PrincipalKind
from fairlead.schemas.wire import Page, Role
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts.workspaces import workspace_of
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.tables.access import MembershipRow, PrincipalRow, TokenRow


def list_members(session: Session, access: Access, paging: Paging, role: Role | None) -> Page[Member]:
    chosen = select(PrincipalRow, MembershipRow.role).join(MembershipRow, MembershipRow.principal_id == PrincipalRow.id)
    chosen = chosen.where(MembershipRow.workspace_id == access.workspace_id)
    if role is not None:
        chosen = chosen.where(MembershipRow.role == role)
    keys = [PrincipalRow.name]
    rows = page_rows(session, chosen, keys, paging)
    return Page(items=[_to_wire(row, said) for row, said in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def set_role(session: Session, access: Access, name: str, kind: PrincipalKind, role: Role) -> Member:
    """Makes the principal if it is new to the server, so the answer is the same whether or not another workspace knows them."""
    workspace_of(session, access, lock=True)  # so that two owners cannot demote each other at once
    principal = principal_called(session, access, name, kind)
    give_role(session, access, principal, role)
    return _to_wire(principal, role)


def give_role(session: Session, access: Access, principal: PrincipalRow, role: Role) -> None:
    """Wants the workspace locked. Raises Conflict rather than leave the workspace without an owner."""
    member = session.get(MembershipRow, (access.workspace_id, principal.id))
    before = member.role if member is not None else None
    if before == role:
        return
    if member is None:
        session.add(MembershipRow(workspace_id=access.workspace_id, principal_id=principal.id, role=role))
    else:
        _check_not_last_owner(session, access, principal, member)
        member.role = role
    audit.record(session, access, "set-role", "member", principal.id, principal.name, role=role, before=before)


def remove_member(session: Session, access: Access, name: str) -> None:
    """Their tokens for this workspace are over too, so that coming back later does not bring them back. Raises NotFound, Conflict."""
    workspace_of(session, access, lock=True)
    principal = session.scalars(select(PrincipalRow).where(PrincipalRow.name == name)).one_or_none()
    member = session.get(MembershipRow, (access.workspace_id, principal.id)) if principal is not None else None
    if principal is None or member is None:
        raise NotFound(f"{name!r} is no member of the workspace {access.workspace!r}; `fairlead workspace members` shows who is.")
    _check_not_last_owner(session, access, principal, member)
    session.delete(member)
    theirs = (TokenRow.workspace_id == access.workspace_id, TokenRow.principal_id == principal.id, TokenRow.revoked_at.is_(None))
    session.execute(update(TokenRow).where(*theirs).values(revoked_at=now()))
    audit.record(session, access, "remove", "member", principal.id, principal.name, before=member.role)


def principal_called(session: Session, access: Access, name: str, kind: PrincipalKind) -> PrincipalRow:
    """The one of that name, made when it is new."""
    found = session.scalars(select(PrincipalRow).where(PrincipalRow.name == name)).one_or_none()
    if found is not None:
        return found
    made = PrincipalRow(id=new_id(), name=name, kind=kind, is_admin=False, created_at=now())
    session.add(made)
    session.flush()
    audit.record(session, access, "create", "principal", made.id, made.name, is_a=kind)
    return made


def _check_not_last_owner(session: Session, access: Access, principal: PrincipalRow, member: MembershipRow) -> None:
    if member.role != "owner":
        return
    owners = select(MembershipRow.principal_id).where(MembershipRow.workspace_id == access.workspace_id, MembershipRow.role == "owner").limit(2)
    if len(session.scalars(owners).all()) < 2:
        raise Conflict(f"{principal.name} is the last owner of the workspace {access.workspace!r}; make somebody else an owner first.")


def _to_wire(row: PrincipalRow, role: str) -> Member:
    return Member.model_validate({"principal": row.name, "kind": row.kind, "role": role})

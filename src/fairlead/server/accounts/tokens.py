"""API tokens: made, listed, revoked. What a token is, the server forgets as soon as it has said it.

A token that an owner makes reaches one workspace; one that an administrator makes for the server reaches every workspace of its principal.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, NotFound
from fairlead.schemas.access import MadeToken, Myself, NewServerToken, NewToken, Token
from fairlead.schemas.wire import Page
from fairlead.server import audit
from fairlead.server.access import Access, new_token
from fairlead.server.accounts.members import give_role, principal_called
from fairlead.server.accounts.workspaces import roles_of, workspace_of
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.tables.access import MembershipRow, PrincipalRow, TokenRow


def make_token(session: Session, access: Access, body: NewToken) -> MadeToken:
    """For this workspace. An owner may give any role, so nobody is given one above the caller's."""
    workspace_of(session, access, lock=True)
    principal = principal_called(session, access, body.principal, body.kind)
    member = session.get(MembershipRow, (access.workspace_id, principal.id))
    role = body.role or ("contributor" if member is None else None)
    if role is not None:
        give_role(session, access, principal, role)
    return _made(session, access, principal, body)


def make_server_token(session: Session, access: Access, body: NewServerToken) -> MadeToken:
    """For every workspace of its principal, who may become an administrator with it or cease to be one."""
    principal = principal_called(session, access, body.principal, body.kind)
    if body.admin is not None and principal.is_admin != body.admin:
        if not body.admin:
            _check_not_last_admin(session, PrincipalRow.id != principal.id, f"{principal.name} is the last administrator who has a token")
        principal.is_admin = body.admin
        audit.record(session, access, "set-admin", "principal", principal.id, principal.name, admin=body.admin)
    return _made(session, access, principal, body)


def list_tokens(session: Session, access: Access, paging: Paging, principal: str | None, active: bool | None) -> Page[Token]:
    """Those of the workspace of the path; without one, those for the whole server. Newest first; revoked ones stay."""
    chosen = _with_principals().where(TokenRow.workspace_id == (access.workspace_id or None))
    if principal is not None:
        chosen = chosen.where(PrincipalRow.name == principal)
    if active is not None:
        lives = TokenRow.revoked_at.is_(None) & or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > now())
        chosen = chosen.where(lives if active else ~lives)
    keys = [TokenRow.id]
    rows = page_rows(session, chosen, keys, paging, newest_first=True)
    return Page(items=[_to_wire(row, name, access) for row, name in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def revoke_token(session: Session, access: Access, token_id: str) -> Token:
    """From the next request on, on every server. Again does nothing more. Raises NotFound, also for a token of elsewhere."""
    chosen = _with_principals().where(TokenRow.id == token_id, TokenRow.workspace_id == (access.workspace_id or None))
    found = session.execute(chosen.with_for_update(of=TokenRow)).one_or_none()
    if found is None:
        raise NotFound(f"There is no token {token_id!r} here; `fairlead token list` shows those there are.")
    row, name = found
    if row.revoked_at is None:
        if row.workspace_id is None:
            _check_not_last_admin(session, TokenRow.id != row.id, f"The token {row.name!r} is the last one of an administrator")
        row.revoked_at = now()
        audit.record(session, access, "revoke", "token", row.id, row.name, principal=name)
    return _to_wire(row, name, access)


def describe_caller(session: Session, access: Access) -> Myself:
    row = session.get_one(TokenRow, access.token_id)
    roles = roles_of(session, access)
    only = next(iter(roles), None) if access.reach is not None else None
    known: dict[str, Any] = {"principal": access.principal, "kind": access.kind, "is_admin": access.is_admin}
    return Myself.model_validate(known | {"workspaces": roles, "token": row.name, "workspace": only, "expires_at": row.expires_at})


def _with_principals() -> Select[TokenRow, str]:
    return select(TokenRow, PrincipalRow.name).join(PrincipalRow, PrincipalRow.id == TokenRow.principal_id)


def _made(session: Session, access: Access, principal: PrincipalRow, body: NewToken | NewServerToken) -> MadeToken:
    token, kept = new_token()
    at = now()
    row = TokenRow(id=new_id(), principal_id=principal.id, name=body.name, hash=kept, created_at=at, created_by=access.principal)
    row.workspace_id = access.workspace_id or None
    row.expires_at = at + timedelta(seconds=body.expires_in_seconds) if body.expires_in_seconds else None
    session.add(row)
    said = {"principal": principal.name, "expires_at": row.expires_at.isoformat() if row.expires_at else None}
    audit.record(session, access, "create", "token", row.id, row.name, **said)
    return MadeToken(token=token, **_to_wire(row, principal.name, access).model_dump())


def _check_not_last_admin(session: Session, others: Any, what: str) -> None:
    """Raises Conflict rather than lock everybody out of the server. The administrators' rows are locked, so two cannot end each other at once."""
    session.scalars(select(PrincipalRow.id).where(PrincipalRow.is_admin).with_for_update()).all()
    living = select(TokenRow.id).join(PrincipalRow, PrincipalRow.id == TokenRow.principal_id).where(PrincipalRow.is_admin, TokenRow.workspace_id.is_(None))
    living = living.where(TokenRow.revoked_at.is_(None), or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > now()), others)
    if session.scalar(living.limit(1)) is None:
        raise Conflict(f"{what}: nobody could administrate this server any more. Make a token for another administrator first.")


def _to_wire(row: TokenRow, principal: str, access: Access) -> Token:
    return Token(
        id=row.id,
        created_at=row.created_at,
        created_by=row.created_by,
        name=row.name,
        principal=principal,
        workspace=access.workspace if row.workspace_id else None,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )

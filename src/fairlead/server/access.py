"""Who asks, and whether they may: API tokens, roles per workspace, administrators.

A route says what it needs in its signature: `access: Reader`, `Contributor`, `Owner` (of the workspace in its path), `Admin`, or `Anyone` with a
valid token. `need_of(route)` reads that back: the door (door.py) asks it before anything of the request is read, and the access matrix of the tests
is made from it, so neither can forget a route.

A token that an owner made reaches its workspace only, whoever it speaks for: nobody gains rights elsewhere by making a token in another's name.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, cast

from fastapi import Depends, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Row, Select, and_, literal, or_, select, update
from sqlalchemy.exc import OperationalError

from fairlead.errors import Forbidden, NotFound, Unauthenticated
from fairlead.schemas.wire import ROLES, Role
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.tables.access import MembershipRow, PrincipalRow, TokenRow, WorkspaceRow

LOG = logging.getLogger("fairlead.server")
PREFIX = "fl_"
USE_IS_NOTED_EVERY = timedelta(minutes=1)
Need = Literal["anyone", "reader", "contributor", "owner", "admin"]


_BEARER = HTTPBearer(scheme_name="token", description="An API token, as `fairlead token create` shows it once.", auto_error=False)


@dataclass(frozen=True, kw_only=True)
class Access:
    """The caller, and the workspace of the path ("" on routes without one). `reach`: the one workspace that the token is for; None: no such limit."""

    principal_id: str
    principal: str
    kind: str
    is_admin: bool
    token_id: str
    workspace_id: str
    workspace: str
    role: Role | None
    request_id: str
    remote: str | None
    reach: str | None = None

    def may(self, role: Role) -> bool:
        return self.is_admin or (self.role is not None and ROLES.index(self.role) >= ROLES.index(role))


class Requires:
    """A dependency that declares a need; the door has met it by the time that the route's function runs."""

    def __init__(self, need: Need) -> None:
        self.need = need

    async def __call__(self, request: Request, _said: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]) -> Access:
        return cast(Access, request.state.access)


Anyone = Annotated[Access, Depends(Requires("anyone"))]
Reader = Annotated[Access, Depends(Requires("reader"))]
Contributor = Annotated[Access, Depends(Requires("contributor"))]
Owner = Annotated[Access, Depends(Requires("owner"))]
Admin = Annotated[Access, Depends(Requires("admin"))]


def need_of(route: APIRoute) -> Need | None:
    """What the route asks of its caller; None for one that is open to all."""
    calls = [each.call for each in route.dependant.dependencies]
    return next((call.need for call in calls if isinstance(call, Requires)), None)


def admit(database: Database, request: Request, need: Need, workspace: str | None) -> Access:
    """The caller, if they may. Raises Unauthenticated, Forbidden, or NotFound for a workspace that is not theirs to see."""
    found = _found(database, _token_of(request), workspace)
    access = _access(request, found, workspace)
    _check(access, need)
    _note_use(database, found.TokenRow)
    return access


def new_token() -> tuple[str, str]:
    """The token, and the hash that is kept of it."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, hash_of(token)


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _check(access: Access, need: Need) -> None:
    if need == "anyone":
        return
    if need == "admin":
        if not access.is_admin:
            raise Forbidden(f"{access.principal} is no administrator of this server, or this token is for one workspace only; ask an administrator.")
        return
    if not access.workspace_id or not access.may("reader"):  # who may not look learns nothing of what exists
        raise NotFound(f"There is no workspace {access.workspace!r} that {access.principal} may enter; `fairlead workspace list` shows those there are.")
    if not access.may(need):
        raise Forbidden(f"{access.principal} is {access.role} of the workspace {access.workspace!r}; this needs the role {need}. Ask an owner for it.")


def _token_of(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This needs a token: send `Authorization: Bearer TOKEN`, or set FAIRLEAD_TOKEN. An owner makes one with `fairlead token create`.")
    return token.strip()


def _found(database: Database, token: str, workspace: str | None) -> Row[Any, Any, Any, Any]:
    """Whose token it is. The one place that knows kinds of credentials: log-in by OpenID Connect joins here, for bearer tokens that do not begin with
    `fl_`, and answers the same row of a principal that it has found or made."""
    if not token.startswith(PREFIX):
        raise Unauthenticated(f"This is no token of Fairlead: they begin with {PREFIX}. Look at FAIRLEAD_TOKEN, or ask an owner for a new one.")
    with database.reading() as session:
        found = session.execute(_who(token, workspace)).one_or_none()
    if found is None:
        raise Unauthenticated("This token is not known here; look at FAIRLEAD_TOKEN and FAIRLEAD_URL, or ask an owner for a new one.")
    return found


def _who(token: str, workspace: str | None) -> Select[Any, Any, Any, Any]:
    """One statement: the token, whose it is, the workspace, and their role in it."""
    columns = (TokenRow, PrincipalRow, WorkspaceRow.id.label("workspace_id"), MembershipRow.role)
    reached = or_(TokenRow.workspace_id.is_(None), TokenRow.workspace_id == WorkspaceRow.id)
    living = and_(WorkspaceRow.name == (workspace or ""), WorkspaceRow.deleted_at.is_(None), literal(workspace is not None), reached)
    member = and_(MembershipRow.workspace_id == WorkspaceRow.id, MembershipRow.principal_id == PrincipalRow.id)
    return (
        select(*columns)
        .join(PrincipalRow, PrincipalRow.id == TokenRow.principal_id)
        .outerjoin(WorkspaceRow, living)
        .outerjoin(MembershipRow, member)
        .where(TokenRow.hash == hash_of(token))  # an index finds the hash of 256 random bits: timing tells nothing of the token
    )


def _access(request: Request, found: Row[Any, Any, Any, Any], workspace: str | None) -> Access:
    token, principal = found.TokenRow, found.PrincipalRow
    if token.revoked_at is not None:
        raise Unauthenticated(f"The token {token.name!r} was revoked; ask an owner for a new one.")
    if token.expires_at is not None and token.expires_at <= now():
        raise Unauthenticated(f"The token {token.name!r} expired at {token.expires_at:%Y-%m-%d %H:%M} UTC; ask an owner for a new one.")
    return Access(
        principal_id=principal.id,
        principal=principal.name,
        kind=principal.kind,
        is_admin=principal.is_admin and token.workspace_id is None,
        token_id=token.id,
        workspace_id=found.workspace_id or "",
        workspace=workspace or "",
        role=found.role,
        request_id=request.state.request_id,
        remote=request.client.host if request.client else None,
        reach=token.workspace_id,
    )


def _note_use(database: Database, token: TokenRow) -> None:
    """Last use, to the minute: not a write for every request, and no reason to refuse one."""
    at = now()
    if token.last_used_at is not None and at - token.last_used_at <= USE_IS_NOTED_EVERY:
        return
    try:
        with database.writing() as session:
            session.execute(update(TokenRow).where(TokenRow.id == token.id).values(last_used_at=at))
    except OperationalError as error:
        LOG.warning("the last use of the token %s could not be noted: %s", token.id, str(error).splitlines()[0])

"""Workspaces and who is in them, tokens, secrets, the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from fairlead.schemas.access import (
    AuditEvent,
    MadeToken,
    Member,
    MemberChange,
    Myself,
    NewServerToken,
    NewToken,
    NewWorkspace,
    PrincipalName,
    Secret,
    SecretName,
    SecretValue,
    Token,
    Workspace,
    WorkspaceChange,
)
from fairlead.schemas.wire import Key, Page, Role
from fairlead.server.access import Admin, Anyone, Contributor, Owner, Reader
from fairlead.server.accounts import audit_log, members, secrets, tokens, workspaces
from fairlead.server.conditional import IfMatch, check_tag, show_tag
from fairlead.server.context import Parts
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing

router = Router(prefix="/v1", tags=["access"])

Principal = Annotated[PrincipalName, Path(description="The name of a person or program.")]
SecretCalled = Annotated[SecretName, Path(description="The secret's name.")]
TokenId = Annotated[Key, Path(description="The token's id, as the list shows it.")]
OfPrincipal = Annotated[Key | None, Query(description="Of this person or program only.")]
Active = Annotated[bool | None, Query(description="true: those that are neither revoked nor expired; false: the others.")]


@router.get("/me")
def show_me(access: Anyone, session: Reading) -> Myself:
    """Whose token this is, and what it reaches."""
    return tokens.describe_caller(session, access)


@router.get("/workspaces")
def list_workspaces(access: Anyone, session: Reading, pages: Pages) -> Page[Workspace]:
    """Those that the caller may enter, by name."""
    return workspaces.list_workspaces(session, access, pages)


@router.post("/workspaces", status_code=201, response_model=Workspace)
def create_workspace(access: Admin, session: Writing, body: NewWorkspace, once: Repeatable) -> Response:
    """A new workspace, with the caller as its first owner."""
    return once.answer(session, access, body, lambda: workspaces.create_workspace(session, access, body))


@router.get("/workspaces/{workspace}")
def show_workspace(access: Reader, session: Reading, response: Response) -> Workspace:
    """One workspace, with the caller's role in it."""
    row = workspaces.workspace_of(session, access)
    show_tag(response, row)
    return workspaces.to_wire(row, access.role)


@router.patch("/workspaces/{workspace}")
def change_workspace(access: Owner, session: Writing, body: WorkspaceChange, response: Response, if_match: IfMatch = None) -> Workspace:
    """Change its description, or (an administrator) its quota."""
    row = workspaces.workspace_of(session, access, lock=True)
    check_tag(if_match, row, f"The workspace {row.name!r}")
    workspaces.change_workspace(session, access, row, body)
    show_tag(response, row)
    return workspaces.to_wire(row, access.role)


@router.delete("/workspaces/{workspace}", status_code=204)
def delete_workspace(access: Owner, session: Writing, if_match: IfMatch = None) -> None:
    """Delete it; refused while services live in it. Its name is free again."""
    row = workspaces.workspace_of(session, access, lock=True)
    check_tag(if_match, row, f"The workspace {row.name!r}")
    workspaces.delete_workspace(session, access, row)


@router.get("/workspaces/{workspace}/members")
def list_members(access: Reader, session: Reading, pages: Pages, role: Annotated[Role | None, Query(description="Of this role only.")] = None) -> Page[Member]:
    """Who is in the workspace, by name."""
    return members.list_members(session, access, pages, role)


@router.put("/workspaces/{workspace}/members/{principal}")
def set_member(access: Owner, session: Writing, principal: Principal, body: MemberChange) -> Member:
    """Give somebody a role in the workspace; the last owner stays one."""
    return members.set_role(session, access, principal, body.kind, body.role)


@router.delete("/workspaces/{workspace}/members/{principal}", status_code=204)
def remove_member(access: Owner, session: Writing, principal: Principal) -> None:
    """Take somebody out of the workspace, and revoke their tokens for it."""
    members.remove_member(session, access, principal)


@router.get("/workspaces/{workspace}/tokens")
def list_tokens(access: Owner, session: Reading, pages: Pages, principal: OfPrincipal = None, active: Active = None) -> Page[Token]:
    """Tokens for this workspace, newest first, with last use and expiry; never what they are."""
    return tokens.list_tokens(session, access, pages, principal, active)


@router.post("/workspaces/{workspace}/tokens", status_code=201)
def create_token(access: Owner, session: Writing, body: NewToken) -> MadeToken:
    """A token for a person or program that reaches this workspace. It is shown this once."""
    return tokens.make_token(session, access, body)


@router.delete("/workspaces/{workspace}/tokens/{token_id}")
def revoke_token(access: Owner, session: Writing, token_id: TokenId) -> Token:
    """End a token for this workspace, at once and for good."""
    return tokens.revoke_token(session, access, token_id)


@router.get("/tokens")
def list_server_tokens(access: Admin, session: Reading, pages: Pages, principal: OfPrincipal = None, active: Active = None) -> Page[Token]:
    """Tokens that reach every workspace of their principal, newest first."""
    return tokens.list_tokens(session, access, pages, principal, active)


@router.post("/tokens", status_code=201)
def create_server_token(access: Admin, session: Writing, body: NewServerToken) -> MadeToken:
    """A token that reaches every workspace of its principal, who may be made an administrator. It is shown this once."""
    return tokens.make_server_token(session, access, body)


@router.delete("/tokens/{token_id}")
def revoke_server_token(access: Admin, session: Writing, token_id: TokenId) -> Token:
    """End such a token, at once and for good; the last one of an administrator stays."""
    return tokens.revoke_token(session, access, token_id)


@router.get("/workspaces/{workspace}/secrets")
def list_secrets(access: Reader, session: Reading, pages: Pages) -> Page[Secret]:
    """Names of the workspace's secrets; never their values."""
    return secrets.list_secrets(session, access, pages)


@router.put("/workspaces/{workspace}/secrets/{name}")
def set_secret(access: Contributor, session: Writing, parts: Parts, name: SecretCalled, body: SecretValue) -> Secret:
    """Make or change a secret; services take it with their next revision."""
    return secrets.set_secret(session, parts.seal, access, name, body.value.encode())


@router.delete("/workspaces/{workspace}/secrets/{name}", status_code=204)
def delete_secret(access: Contributor, session: Writing, name: SecretCalled) -> None:
    """Delete a secret; a service that has it keeps its copy until its next revision."""
    secrets.delete_secret(session, access, name)


@router.get("/workspaces/{workspace}/audit")
def list_workspace_audit(access: Owner, session: Reading, pages: Pages, filters: audit_log.Chosen) -> Page[AuditEvent]:
    """Who did what in this workspace, when, from where; newest first."""
    return audit_log.list_events(session, pages, filters, workspace_id=access.workspace_id)


@router.get("/audit")
def list_audit(_access: Admin, session: Reading, pages: Pages, filters: audit_log.Chosen) -> Page[AuditEvent]:
    """Who did what on this server, in all workspaces; newest first."""
    return audit_log.list_events(session, pages, filters, workspace_id=None)

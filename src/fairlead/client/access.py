"""Workspaces and who is in them, tokens, secrets, the audit log: one function per route."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from fairlead.client.transport import Transport
from fairlead.schemas.access import (
    AuditEvent,
    MadeToken,
    Member,
    MemberChange,
    Myself,
    NewServerToken,
    NewToken,
    NewWorkspace,
    Secret,
    SecretValue,
    Token,
    Workspace,
    WorkspaceChange,
)


def show_me(transport: Transport) -> Myself:
    """Whose token this is, and what it reaches."""
    return transport.get(Myself, "/v1/me")


def list_workspaces(transport: Transport) -> Iterator[Workspace]:
    return transport.each(Workspace, "/v1/workspaces")


def create_workspace(transport: Transport, new: NewWorkspace) -> Workspace:
    return transport.create(Workspace, "/v1/workspaces", new)


def show_workspace(transport: Transport, name: str) -> Workspace:
    return transport.get(Workspace, _workspace(name))


def change_workspace(transport: Transport, name: str, change: WorkspaceChange) -> Workspace:
    return transport.send(Workspace, "PATCH", _workspace(name), body=change).value


def delete_workspace(transport: Transport, name: str) -> None:
    transport.request("DELETE", _workspace(name))


def list_members(transport: Transport) -> Iterator[Member]:
    return transport.each(Member, transport.path("members"))


def set_member(transport: Transport, principal: str, change: MemberChange) -> Member:
    return transport.send(Member, "PUT", transport.path("members", principal), body=change).value


def remove_member(transport: Transport, principal: str) -> None:
    transport.request("DELETE", transport.path("members", principal))


def create_token(transport: Transport, new: NewToken) -> MadeToken:
    """Not repeated when the connection breaks: a token that nobody has seen is revoked by its id, which the list shows."""
    return transport.send(MadeToken, "POST", transport.path("tokens"), body=new).value


def create_server_token(transport: Transport, new: NewServerToken) -> MadeToken:
    return transport.send(MadeToken, "POST", "/v1/tokens", body=new).value


def list_tokens(transport: Transport, *, of_server: bool = False, principal: str | None = None, active: bool | None = None) -> Iterator[Token]:
    asked = {"principal": principal, "active": None if active is None else str(active).lower()}
    return transport.each(Token, "/v1/tokens" if of_server else transport.path("tokens"), asked)


def revoke_token(transport: Transport, token_id: str, *, of_server: bool = False) -> Token:
    path = f"/v1/tokens/{quote(token_id, safe='')}" if of_server else transport.path("tokens", token_id)
    return transport.send(Token, "DELETE", path).value


def list_secrets(transport: Transport) -> Iterator[Secret]:
    return transport.each(Secret, transport.path("secrets"))


def set_secret(transport: Transport, name: str, value: str) -> Secret:
    return transport.send(Secret, "PUT", transport.path("secrets", name), body=SecretValue.of(value=value)).value


def delete_secret(transport: Transport, name: str) -> None:
    transport.request("DELETE", transport.path("secrets", name))


def list_audit(transport: Transport, *, of_server: bool = False, **asked: str | datetime | None) -> Iterator[AuditEvent]:
    """Newest first. `asked`: who, action, kind, about, request_id; since, until."""
    said = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()}
    return transport.each(AuditEvent, "/v1/audit" if of_server else transport.path("audit"), said)


def _workspace(name: str) -> str:
    return f"/v1/workspaces/{quote(name, safe='')}"

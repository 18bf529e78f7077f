"""Callers of a test: a transport for each role in the workspace of an owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.schemas.access import MadeToken, NewToken
from fairlead.schemas.wire import Role


def token_for(owner: Transport, principal: str, role: Role | None = None, *, seconds: int | None = None) -> MadeToken:
    return access.create_token(owner, NewToken(name=f"{principal}'s", principal=principal, role=role, expires_in_seconds=seconds))


@contextmanager
def speaking_as(owner: Transport, principal: str, role: Role | None = None) -> Iterator[Transport]:
    with Transport(owner.url, token_for(owner, principal, role).token, owner.workspace) as transport:
        yield transport


def with_token(owner: Transport, token: str, workspace: str | None = None) -> Transport:
    return Transport(owner.url, token, workspace or owner.workspace)

"""Workspaces, people and programs, their tokens and roles, secrets, and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from fairlead.schemas.spelling import Spelling
from fairlead.schemas.wire import Answer, Flag, Key, Request, Role, Stamped, Text, Whole

WorkspaceName = Annotated[
    str, Spelling(r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$", "name for a workspace", "has 2 to 32 lower-case letters, digits and -, a letter first and no - at the end")
]
PrincipalName = Annotated[
    str, Spelling(r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,126}$", "name for an account", "has up to 127 letters, digits and . _ @ + -, a letter or digit first")
]
PrincipalKind = Literal["person", "program"]
Lifetime = Annotated[Whole, Field(gt=0, le=10 * 366 * 86_400)]
SecretName = Annotated[str, Spelling.of_letters("name for a secret", 127)]


class Workspace(Stamped):
    name: str
    description: str = ""
    updated_at: datetime
    role: Role | None = None
    quota_bytes: int | None = None
    used_bytes: int | None = None


class NewWorkspace(Request):
    name: WorkspaceName
    description: Text = ""
    quota_bytes: Annotated[Whole, Field(gt=0, lt=2**62)] | None = None


class WorkspaceChange(Request):
    description: Text | None = None
    quota_bytes: Annotated[Whole, Field(gt=0, lt=2**62)] | None = None


class Member(Answer):
    principal: str
    kind: PrincipalKind
    role: Role


class MemberChange(Request):
    """`kind`: of somebody who is new to the server; others stay what they are."""

    role: Role
    kind: PrincipalKind = "person"


class Token(Stamped):
    """A token as it is listed: never with what it is."""

    name: str
    principal: str
    workspace: str | None = None
    """The one that it reaches; null: all that its principal is a member of."""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


class NewToken(Request):
    """A token for a person or program, which is made if it is new (`kind`). It reaches this workspace only.

    `role`: theirs in this workspace from now on; omitted: as it is, and contributor for a new member.
    """

    name: Key
    principal: PrincipalName
    kind: PrincipalKind = "program"
    role: Role | None = None
    expires_in_seconds: Lifetime | None = None


class NewServerToken(Request):
    """A token that reaches every workspace of its principal. `admin`: true makes the principal an administrator, false ends it; omitted: as it is."""

    name: Key
    principal: PrincipalName
    kind: PrincipalKind = "person"
    admin: Flag | None = None
    expires_in_seconds: Lifetime | None = None


class MadeToken(Token):
    token: str
    """Shown this once: the server keeps its hash only."""


class Myself(Answer):
    principal: str
    kind: PrincipalKind
    is_admin: bool
    workspaces: dict[str, Role]
    token: str
    """Its name."""
    workspace: str | None = None
    """The one that this token reaches; null: all of `workspaces`."""
    expires_at: datetime | None = None


class Secret(Stamped):
    """A secret as it is listed: never with its value."""

    name: str
    updated_at: datetime


class SecretValue(Request):
    value: Annotated[str, StringConstraints(min_length=1, max_length=65_536)]


class AuditEvent(Answer):
    id: str
    at: datetime
    principal: str | None
    token_id: str | None = None
    workspace: str | None
    action: str
    kind: str
    object_id: str | None
    name: str | None
    request_id: str
    remote: str | None
    details: dict[str, Any]


class ServerFacts(Answer):
    """What anybody who reaches the server may know."""

    product: Literal["fairlead"] = "fairlead"
    version: str
    api: Literal["v1"] = "v1"


class Health(Answer):
    status: Literal["ok", "failing"]
    checks: dict[str, str] = Field(default_factory=dict)

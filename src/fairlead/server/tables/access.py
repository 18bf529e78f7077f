"""Who may do what: principals, tokens, workspaces, roles, secrets; who did what: the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.record import Record, among_living

Id = String(36)


class PrincipalRow(Record):
    """A person or a program."""

    __tablename__ = "principals"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(127), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class TokenRow(Record):
    """`hash`: SHA-256 in hex of the token, which nobody keeps. `workspace_id`: the one that it reaches; null: all of its principal's."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    principal_id: Mapped[str] = mapped_column(ForeignKey("principals.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    workspace_id: Mapped[str | None] = mapped_column(ForeignKey("workspaces.id"), index=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class WorkspaceRow(Record):
    """A name is unique among the living; a deleted workspace keeps its row for the audit."""

    __tablename__ = "workspaces"
    __table_args__ = (among_living("uq_workspaces_living_name", "name", unique=True),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(32))
    description: Mapped[str] = mapped_column(default="")
    quota_bytes: Mapped[int | None] = mapped_column(BigInteger)
    used_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)


class MembershipRow(Record):
    __tablename__ = "memberships"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    principal_id: Mapped[str] = mapped_column(ForeignKey("principals.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))


class SecretRow(Record):
    """`sealed`: AES-GCM under the master key, bound to this row's id."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(String(127))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]


class AuditRow(Record):
    """Only ever added; the database itself refuses to change or delete one."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_workspace_id_id", "workspace_id", "id"),
        Index("ix_audit_events_object_id_id", "object_id", "id"),
        Index("ix_audit_events_request_id", "request_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime]
    principal_id: Mapped[str | None] = mapped_column(Id)
    principal: Mapped[str | None] = mapped_column(String(127))
    token_id: Mapped[str | None] = mapped_column(Id)
    workspace_id: Mapped[str | None] = mapped_column(Id)
    workspace: Mapped[str | None] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str | None] = mapped_column(Id)
    name: Mapped[str | None] = mapped_column(String(300))
    request_id: Mapped[str] = mapped_column(String(100))
    remote: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]


class IdempotencyRow(Record):
    """What a create with an Idempotency-Key answered, so that sending it again does nothing twice."""

    __tablename__ = "idempotency_keys"

    principal_id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    answer: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)

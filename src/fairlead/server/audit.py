"""The audit log: who did what, when, from where, in the same transaction as what was done."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.tables.access import AuditRow


def record(session: Session, access: Access, action: str, kind: str, object_id: str, name: str, **details: Any) -> None:
    """`action`: a verb such as "create"; `kind`: the noun, such as "service". Details never hold a secret."""
    session.add(
        AuditRow(
            id=new_id(),
            at=now(),
            principal_id=access.principal_id,
            principal=access.principal,
            token_id=access.token_id,
            workspace_id=access.workspace_id or None,
            workspace=access.workspace or None,
            action=action,
            kind=kind,
            object_id=object_id,
            name=name,
            request_id=access.request_id,
            remote=access.remote,
            details=details,
        )
    )

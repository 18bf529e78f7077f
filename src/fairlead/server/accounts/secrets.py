"""Secrets of a workspace: sealed at rest, given to services as files, never shown again to anybody."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import NotFound
from fairlead.schemas.access import Secret
from fairlead.schemas.wire import Page
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts.workspaces import workspace_of
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.paging import Paging, page
from fairlead.server.sealing import Seal
from fairlead.server.tables.access import SecretRow


def list_secrets(session: Session, access: Access, paging: Paging) -> Page[Secret]:
    chosen = select(SecretRow).where(SecretRow.workspace_id == access.workspace_id)
    return page(session, chosen, [SecretRow.name], paging, _to_wire)


def set_secret(session: Session, seal: Seal, access: Access, name: str, value: bytes) -> Secret:
    """New or changed; a service takes it with its next revision."""
    workspace_of(session, access, lock=True)
    at = now()
    row = _row(session, access.workspace_id, name)
    action = "create" if row is None else "change"
    if row is None:
        row = SecretRow(id=new_id(), workspace_id=access.workspace_id, name=name, created_at=at, created_by=access.principal)
        session.add(row)
    row.sealed = seal.close(value, row.id)
    row.updated_at = at
    audit.record(session, access, action, "secret", row.id, name)
    return _to_wire(row)


def delete_secret(session: Session, access: Access, name: str) -> None:
    """A service that was given it keeps its copy until its next revision. Raises NotFound."""
    row = _row(session, access.workspace_id, name)
    if row is None:
        raise NotFound(_missing([name], access.workspace))
    session.delete(row)
    audit.record(session, access, "delete", "secret", row.id, name)


def refuse_missing(session: Session, workspace_id: str, names: Iterable[str]) -> None:
    """Raises NotFound that names those which are not there."""
    wanted = list(dict.fromkeys(names))
    there = set(session.scalars(select(SecretRow.name).where(SecretRow.workspace_id == workspace_id, SecretRow.name.in_(wanted))))
    missing = [name for name in wanted if name not in there]
    if missing:
        raise NotFound(_missing(missing, "this workspace"))


def open_secrets(session: Session, seal: Seal, workspace_id: str, names: Iterable[str]) -> dict[str, bytes]:
    """What a service is given. Raises NotFound that names those which are not there."""
    wanted = list(names)
    refuse_missing(session, workspace_id, wanted)
    rows = session.scalars(select(SecretRow).where(SecretRow.workspace_id == workspace_id, SecretRow.name.in_(wanted)))
    return {row.name: seal.open(row.sealed, row.id) for row in rows}


def _row(session: Session, workspace_id: str, name: str) -> SecretRow | None:
    return session.scalars(select(SecretRow).where(SecretRow.workspace_id == workspace_id, SecretRow.name == name)).one_or_none()


def _missing(names: list[str], where: str) -> str:
    return f"There is no secret {', '.join(map(repr, names))} in {where}; set it with `fairlead secret set {names[0]}`."


def _to_wire(row: SecretRow) -> Secret:
    return Secret(id=row.id, created_at=row.created_at, created_by=row.created_by, name=row.name, updated_at=row.updated_at)

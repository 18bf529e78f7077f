"""What a new database starts with: an administrator, the workspace `default`, and a token in a file that only its owner reads."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.places import make_private
from fairlead.server.access import hash_of, new_token
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.ids import new_id
from fairlead.server.locks import held
from fairlead.server.tables.access import MembershipRow, PrincipalRow, TokenRow, WorkspaceRow
from fairlead.targets.files import write_whole

TOKEN_FILE = "owner.token"  # noqa: S105 - its name, not its content
NEW_TOKEN_FILE = "owner.token.new"  # noqa: S105 - as above


def bootstrap(database: Database, folder: Path) -> None:
    """Nothing when a principal is there already, so a second server on the same database adds none."""
    with held(database, "bootstrap"), database.writing() as session:
        if session.scalar(select(PrincipalRow.id).limit(1)) is not None:
            settle_token(session, folder)
            return
        token, kept = new_token()
        _first_rows(session, _user(), kept)
        _write_private(folder / TOKEN_FILE, token)  # before the commit: a token whose hash was lost is harmless, the reverse is a locked door


def renew_token(session: Session, folder: Path) -> None:
    """After a restore: the file's token is of another database, so the first administrator gets a new one. `settle_token` follows the commit."""
    admin = session.scalars(select(PrincipalRow).where(PrincipalRow.is_admin).order_by(PrincipalRow.id).limit(1)).one_or_none()
    if admin is None:
        return
    token, kept = new_token()
    session.add(TokenRow(id=new_id(), principal_id=admin.id, name="owner of this server", hash=kept, created_at=now(), created_by=admin.name))
    _write_private(folder / NEW_TOKEN_FILE, token)


def settle_token(session: Session, folder: Path) -> None:
    """A new token takes the place of the old one once the database knows it, also when the process that made it was killed."""
    new = folder / NEW_TOKEN_FILE
    if not new.exists():
        return
    known = session.scalar(select(TokenRow.id).where(TokenRow.hash == hash_of(new.read_text(encoding="ascii").strip())))
    if known is not None:
        new.replace(folder / TOKEN_FILE)
    else:
        new.unlink()


def _first_rows(session: Session, name: str, token_hash: str) -> None:
    at = now()
    principal = PrincipalRow(id=new_id(), name=name, kind="person", is_admin=True, created_at=at)
    workspace = WorkspaceRow(id=new_id(), name="default", description="", used_bytes=0, created_at=at, created_by=name, updated_at=at, etag=1)
    session.add_all((principal, workspace))
    session.flush()
    session.add(MembershipRow(workspace_id=workspace.id, principal_id=principal.id, role="owner"))
    session.add(TokenRow(id=new_id(), principal_id=principal.id, name="owner of this server", hash=token_hash, created_at=at, created_by=name))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user-{os.getuid()}"


def _write_private(path: Path, text: str) -> None:
    make_private(path.parent)
    write_whole(path, f"{text}\n".encode())

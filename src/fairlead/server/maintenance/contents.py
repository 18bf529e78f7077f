"""Clears up contents: what no row needs is let go by its workspace, and what nobody holds is swept from the store a day later.

A registration checks that its workspace holds a content, and writes down that it needs it a moment later. A content that was let go in between is
given back at the next run; until then its bytes are safe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, delete, or_, select, tuple_
from sqlalchemy.orm import Session

from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.faults import FaultPoint
from fairlead.server.maintenance import references
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.blobs import WorkspaceBlobRow
from fairlead.server.tables.maintenance import ReleasedBlobRow
from fairlead.stores import Store, Swept, sweep

SAFE_FOR = timedelta(days=1)
AT_ONCE = 500
RELEASED = FaultPoint("maintenance.gc.released", "contents were let go, and their bytes are still there")


@dataclass(frozen=True)
class Cleared:
    released: int
    given_back: int
    swept: Swept


def clear(database: Database, store: Store, older_than: timedelta, *, dry_run: bool) -> Cleared:
    """Raises BlobNotFound, InvalidTree when a tree cannot be read: then nothing is known to be unneeded."""
    needed = _needed(database, store)
    unneeded = list(_unneeded(database, needed, older_than))
    given_back = 0
    if not dry_run:
        given_back = give_back(database, needed)
        for part in _parts(unneeded):
            _release(database, part)
        if unneeded:
            RELEASED.reach()
        _forget_released(database)
    would_go = {digest for _, digest in unneeded} if dry_run else set()
    with database.engine.connect() as connection:
        held = set(references.owned(connection)) - would_go
        held |= set(connection.scalars(select(ReleasedBlobRow.digest)))
        marks = held | references.marks(connection, store)
    return Cleared(len(unneeded), given_back, sweep(store, marks, older_than, dry_run=dry_run))


def give_back(database: Database, needed: set[str]) -> int:
    """To workspaces that let go what a row turns out to need."""
    with database.writing() as session:
        rows = [row for row in session.scalars(select(ReleasedBlobRow)) if row.digest in needed]
        for row in rows:
            _workspace(session, row.workspace_id).used_bytes += row.size
            session.add(WorkspaceBlobRow(workspace_id=row.workspace_id, digest=row.digest, size=row.size, created_at=now()))
            session.delete(row)
        return len(rows)


def _needed(database: Database, store: Store) -> set[str]:
    with database.engine.connect() as connection:
        return references.marks(connection, store)


def _unneeded(database: Database, needed: set[str], older_than: timedelta) -> Iterator[tuple[str, str]]:
    asked = select(WorkspaceBlobRow.workspace_id, WorkspaceBlobRow.digest).where(WorkspaceBlobRow.created_at < now() - older_than)
    with database.engine.connect() as connection:
        for workspace_id, digest in connection.execute(asked).all():
            if digest not in needed:
                yield workspace_id, digest


def _release(database: Database, part: Sequence[tuple[str, str]]) -> None:
    with database.writing() as session:
        found = session.scalars(select(WorkspaceBlobRow).where(tuple_(WorkspaceBlobRow.workspace_id, WorkspaceBlobRow.digest).in_(part)).with_for_update())
        for row in list(found):
            _workspace(session, row.workspace_id).used_bytes -= row.size
            session.merge(ReleasedBlobRow(workspace_id=row.workspace_id, digest=row.digest, size=row.size, released_at=now()))
            session.delete(row)


def _workspace(session: Session, workspace_id: str) -> WorkspaceRow:
    return session.scalars(select(WorkspaceRow).where(WorkspaceRow.id == workspace_id).with_for_update()).one()


def _forget_released(database: Database) -> None:
    """Those whose day is over, and those that were uploaded again."""
    again = and_(WorkspaceBlobRow.workspace_id == ReleasedBlobRow.workspace_id, WorkspaceBlobRow.digest == ReleasedBlobRow.digest)
    over = ReleasedBlobRow.released_at < now() - SAFE_FOR
    with database.writing() as session:
        session.execute(delete(ReleasedBlobRow).where(or_(over, select(WorkspaceBlobRow.digest).where(again).exists())), execution_options=_PLAIN)


def _parts(rows: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    yield from (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))


_PLAIN = {"synchronize_session": False}

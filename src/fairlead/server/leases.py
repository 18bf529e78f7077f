"""Who works on which row, across servers and across their deaths (DECISIONS 33).

A claim is one short transaction. The act that follows has none open; what came of it is recorded by `recording`, which refuses when the lease went
to somebody else meanwhile. `node` names a server's state folder: of two processes with one node id, only one lives (`server/node.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from fairlead.server.clock import now
from fairlead.server.db import Database, slices
from fairlead.server.news import News
from fairlead.server.tables.leases import Leased

R = TypeVar("R", bound=Leased)


class LeaseLost(Exception):
    """The row is somebody else's now, or gone; what was done is not recorded."""


@dataclass(frozen=True, slots=True)
class Lease:
    id: str
    token: int


class Leases(Generic[R]):
    """Of one table. `mine`: which of its rows this server may take. `news`: told of what is recorded."""

    def __init__(self, database: Database, table: type[R], node: str, seconds: float, mine: Callable[[], ColumnElement[bool]], news: News) -> None:
        self._database = database
        self._table: Any = table
        self._node = node
        self._seconds = seconds
        self._mine = mine
        self._news = news

    def due(self) -> bool:
        """Whether there is anything to claim or to be nudged about; a read, so that an idle server writes nothing."""
        with self._database.reading() as session:
            return session.scalar(select(self._table.id).where(or_(self._nudged(), self._claimable())).limit(1)) is not None

    def claim(self, most: int) -> list[Lease]:
        """The longest due first. With the claim the row is no longer due: what changes it afterwards makes it so again."""
        if most <= 0:
            return []
        with self._database.writing() as session:
            chosen = select(self._table).where(self._claimable()).order_by(self._table.due_at).limit(most).with_for_update(skip_locked=True)
            return [self._take(row) for row in session.scalars(chosen)]

    def nudges(self) -> list[str]:
        """Rows that this server holds and that were changed; asked once, they are told once."""
        with self._database.writing() as session:
            ids = list(session.scalars(select(self._table.id).where(self._nudged())))
            if ids:
                session.execute(update(self._table).where(self._table.id.in_(ids), self._nudged()).values(due_at=None))
            return ids

    def nudge(self, ids: Sequence[str]) -> None:
        if ids:
            with self._database.writing() as session:
                session.execute(update(self._table).where(self._table.id.in_(ids)).values(due_at=now()))

    def extend(self, held: Sequence[Lease]) -> set[str]:
        """Ids of those that are still held, from now on for another while."""
        kept: set[str] = set()
        with self._database.writing() as session:
            for some in slices(held):
                chosen = and_(self._table.id.in_([each.id for each in some]), self._table.lease_owner == self._node)
                found = update(self._table).where(chosen).values(lease_until=self._until()).returning(self._table.id)
                kept |= set(session.scalars(found))
        return kept

    def release(self, leases: Iterable[Lease], *, due: bool = False) -> None:
        """due: somebody should take them up at once; else nobody before they are changed."""
        with self._database.writing() as session:
            for lease in leases:
                self._let_go(session, lease, {"due_at": now()} if due else {})

    def forget_former_life(self) -> None:
        """What a process of this node held when it died is due at once: it is dead, or this one would not have started."""
        with self._database.writing() as session:
            mine = self._table.lease_owner == self._node
            session.execute(update(self._table).where(mine).values(lease_owner=None, lease_until=None, due_at=now()))

    @contextmanager
    def recording(self, lease: Lease, first: Callable[[Session], object] | None = None) -> Iterator[tuple[Session, R]]:
        """A transaction and the row, locked. `first` locks what others lock before such a row. Raises LeaseLost."""
        with self._database.writing() as session:
            if first is not None:
                first(session)
            held = and_(self._table.id == lease.id, self._table.lease_owner == self._node, self._table.lease_token == lease.token)
            row = session.scalars(select(self._table).where(held).with_for_update()).one_or_none()
            if row is None:
                raise LeaseLost
            yield session, row
        self._news.tell()

    def _take(self, row: Any) -> Lease:
        row.lease_owner, row.lease_until, row.due_at = self._node, self._until(), None
        row.lease_token += 1
        return Lease(row.id, row.lease_token)

    def _let_go(self, session: Session, lease: Lease, also: Mapping[str, Any]) -> None:
        held = and_(self._table.id == lease.id, self._table.lease_owner == self._node, self._table.lease_token == lease.token)
        session.execute(update(self._table).where(held).values(lease_owner=None, lease_until=None, **also))

    def _claimable(self) -> ColumnElement[bool]:
        at = now()
        free_and_due = and_(self._table.lease_until.is_(None), self._table.due_at <= at)
        return and_(or_(free_and_due, self._table.lease_until < at), self._mine())

    def _nudged(self) -> ColumnElement[bool]:
        return and_(self._table.lease_owner == self._node, self._table.due_at <= now())

    def _until(self) -> datetime:
        return now() + timedelta(seconds=self._seconds)

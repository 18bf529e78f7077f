"""A service's log, from the target that keeps it. Only the server of the machine where it runs can read it."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime

from anyio import CapacityLimiter, to_thread
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import NotFound, Unavailable
from fairlead.server.access import Access
from fairlead.server.context import Context
from fairlead.server.services import showing
from fairlead.server.tables.services import RevisionRow, ServiceRow
from fairlead.targets.types import Follow

MOST_FOLLOWERS = 100
FOLLOWERS = CapacityLimiter(MOST_FOLLOWERS)
LINES_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    tail: int = 200
    revision: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    follow: bool = False


def chosen(session: Session, access: Access, name: str, wanted: Wanted) -> tuple[ServiceRow, str | None]:
    """The service, and the short id of the revision. Raises NotFound."""
    row = showing.find(session, access, name)
    if wanted.revision is None:
        return row, None
    said = wanted.revision
    is_number = said.isascii() and said.isdigit() and len(said) < 10
    which = RevisionRow.number == int(said) if is_number else RevisionRow.short_id == said
    short_id = session.scalar(select(RevisionRow.short_id).where(RevisionRow.service_id == row.id, which))
    if short_id is None:
        raise NotFound(f"The service {name!r} has no revision {said}; `fairlead service revisions` lists them.")
    return row, short_id


def stream(parts: Context, row: ServiceRow, short_id: str | None, wanted: Wanted) -> Iterator[str] | AsyncIterator[str]:
    """Pieces of text. Raises Unavailable before the first when another server has the log, or too many follow."""
    refuse_elsewhere(parts, row)
    if not wanted.follow:
        return _pieces(_lines(parts, row, short_id, wanted, follow=False))
    if FOLLOWERS.available_tokens < 1:
        raise Unavailable(f"{MOST_FOLLOWERS} logs are being followed at this moment; end one of them, or read the log without following it.")
    return _followed(parts, row, short_id, wanted)


def refuse_elsewhere(parts: Context, row: ServiceRow) -> None:
    if row.place is not None and row.place != parts.node.id:
        raise Unavailable(f"The service {row.name!r} runs on the machine of another server of this database, and its log is there; ask that server.")


async def _followed(parts: Context, row: ServiceRow, short_id: str | None, wanted: Wanted) -> AsyncIterator[str]:
    """In threads of their own, so that those who wait for lines do not keep requests waiting; over when the caller or this server ends."""
    left = threading.Event()
    lines = _lines(parts, row, short_id, wanted, follow=lambda: not left.is_set() and not parts.news.is_over)
    try:
        while (line := await to_thread.run_sync(next, lines, None, abandon_on_cancel=True, limiter=FOLLOWERS)) is not None:
            yield line
    finally:
        left.set()


def _lines(parts: Context, row: ServiceRow, short_id: str | None, wanted: Wanted, *, follow: Follow) -> Iterator[str]:
    lines = parts.targets[row.target].logs(row.handle, tail=wanted.tail, revision=short_id, request_id=wanted.request_id, follow=follow)
    return (f"{line}\n" for line in lines if wanted.since is None or _is_since(line, wanted.since))


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """Many lines at once: each piece costs a change of threads."""
    while piece := "".join(itertools.islice(lines, LINES_AT_ONCE)):
        yield piece


def _is_since(line: str, since: datetime) -> bool:
    """A line without a time, or one without a zone, belongs to the one before it; it is shown."""
    try:
        return datetime.fromisoformat(json.loads(line)["time"]) >= since
    except (ValueError, KeyError, TypeError):
        return True

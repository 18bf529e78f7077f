"""Lists come in pages: `limit` and `after`, by the keys that the list is ordered by, never by counting rows that were skipped."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query
from sqlalchemy import BigInteger, Integer, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from fairlead.errors import UsageError
from fairlead.schemas.wire import Page

T = TypeVar("T")
Keys = Sequence[InstrumentedAttribute[Any]]
LIMIT = 50
MOST = 500


@dataclass(frozen=True)
class Paging:
    limit: int
    after: tuple[Any, ...] | None


def _paging(
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = LIMIT,
    after: Annotated[str | None, Query(max_length=2000, description="The cursor `next` of the page before.")] = None,
) -> Paging:
    return Paging(limit, _read(after) if after else None)


Pages = Annotated[Paging, Depends(_paging)]


def page(
    session: Session,
    chosen: Select[*tuple[Any, ...]],
    keys: Keys,
    paging: Paging,
    to_wire: Callable[[Any], T],
    *,
    newest_first: bool = False,
) -> Page[T]:
    """One statement. `keys` end with a unique column; `to_wire` is given the row's first element."""
    rows = page_rows(session, chosen, keys, paging, newest_first=newest_first)
    return Page(items=[to_wire(row[0]) for row in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def page_rows(session: Session, chosen: Select[*tuple[Any, ...]], keys: Keys, paging: Paging, *, newest_first: bool = False) -> list[Any]:
    """One more row than the page holds, so that `cursor_after` knows whether there is another page."""
    if paging.after is not None:
        refuse_strange(paging.after, keys)
        here = tuple_(*keys)
        chosen = chosen.where(here < paging.after if newest_first else here > paging.after)
    ordered = chosen.order_by(*(key.desc() if newest_first else key for key in keys)).limit(paging.limit + 1)
    return list(session.execute(ordered).all())


def refuse_strange(after: tuple[Any, ...], keys: Keys) -> None:
    """Raises UsageError for a cursor of another list."""
    if len(after) != len(keys) or not all(map(_fits, keys, after)):
        raise _refused()


def cursor_after(rows: Sequence[Any], keys: Keys, paging: Paging) -> str | None:
    if len(rows) <= paging.limit:
        return None
    last = rows[paging.limit - 1][0]
    return cursor_of([getattr(last, key.key) for key in keys])


def cursor_of(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, default=str, separators=(",", ":")).encode()).decode().rstrip("=")


def _fits(key: InstrumentedAttribute[Any], value: Any) -> bool:
    """PostgreSQL refuses to compare a column with a value of another kind."""
    if not isinstance(key.type, Integer):
        return isinstance(value, str)
    return isinstance(value, int) and (isinstance(key.type, BigInteger) or abs(value) < 2**31)


def _read(cursor: str) -> tuple[Any, ...]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise _refused() from None
    if not isinstance(values, list) or not all(isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**62) for value in values):
        raise _refused()
    if any(isinstance(value, str) and ("\0" in value or not value.isprintable()) for value in values):
        raise _refused()
    return tuple(values)


def _refused() -> UsageError:
    return UsageError("This `after` is no cursor of this list; take it from `next` of the page before, or leave it out.")

"""Where a search begins and how far it looks, so that it reads little however many versions there are and whatever is asked for.

What each filter's index holds is counted, a little of it. The search takes the newest ids of the one with the fewest, and looks each up until the page
is full: an index that has them newest first is read as far as need be, one that has them in another order is sorted first, if it holds few. When none
will do, the ids of all versions are taken, newest first.

No request looks at more ids than its part of LOOKUPS. When it has seen that many and its page is not full, the page ends early, and its cursor is the
last id that was looked at: two conditions that hold together nowhere cost several small requests, and none that the others have to wait for.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, true, union_all
from sqlalchemy.orm import Session

from fairlead.server.paging import Paging, cursor_after, cursor_of, refuse_strange
from fairlead.server.registry import names
from fairlead.server.registry.filters import CANDIDATES, Filter, Source
from fairlead.server.tables.registry import ModelVersionRow

FEW = 10_000
"""So many ids are sorted, to have the newest first."""
COUNTED = 30_000
"""So many are counted of all sources together, to see which have so few."""
LOOKUPS = 5_000
"""One per comparison, and two for the version's own row, which is large."""


@dataclass(frozen=True)
class Found:
    """Rows as `names.version_rows` has them; `next`: the cursor, when there may be more."""

    rows: Sequence[Any]
    next: str | None


def page_of(session: Session, workspace_id: str, found: Sequence[Filter], paging: Paging) -> Found:
    """The living versions for which all filters hold, newest first; fewer than a page when it ends early."""
    if paging.after is not None:
        refuse_strange(paging.after, [ModelVersionRow.id])
    most = max(1, LOOKUPS // (2 + sum(each.lookups for each in found)))
    first = _first(session, found, most)
    candidates = _newest(workspace_id, first, most, paging).cte(CANDIDATES.name)
    last = select(candidates.c.id).offset(most - 1).limit(1).scalar_subquery()
    seen = select(last.label("last")).add_cte(candidates).subquery()
    found = sorted(found, key=lambda each: each is first)  # what the first asks for holds in most cases, so it is asked for last
    page = _fitting(workspace_id, found, paging.limit + 1).subquery()
    chosen = names.version_columns().add_columns(seen.c.last).select_from(seen).outerjoin(page, true())
    chosen = chosen.outerjoin(ModelVersionRow, ModelVersionRow.id == page.c.id).order_by(ModelVersionRow.id.desc())
    return _found(session.execute(chosen).all(), paging)


def _first(session: Session, found: Sequence[Filter], most: int) -> Filter | None:
    """The filter with the fewest, if it has so few that all are looked at; otherwise one that has the newest first, or few enough to be sorted."""
    candidates = [each for each in found if each.sources]
    if not candidates:
        return None
    few = min(FEW, COUNTED // sum(len(each.sources) for each in candidates))
    counts = session.execute(select(*(_count(each, most if each.newest_first else few) for each in candidates))).one()
    count, least = min(zip(counts, candidates, strict=True), key=operator.itemgetter(0))
    if count < most:
        return least
    streamed = next((each for each in candidates if each.newest_first), None)
    return streamed or (least if count < few else None)


def _count(each: Filter, most: int) -> ColumnElement[int]:
    """Of rows that are not read for their ids, which not every index holds."""
    parts = (_few(source, most).with_only_columns(literal_column("1")).subquery() for source in each.sources)
    counts: list[ColumnElement[int]] = [select(func.count()).select_from(part).scalar_subquery() for part in parts]
    return functools.reduce(operator.add, counts)


def _newest(workspace_id: str, first: Filter | None, most: int, paging: Paging) -> Select[str]:
    """The ids that are looked at. Grouped where they must be sorted, because SQLite sorts groups three times as fast as what it only orders."""
    if first is None:
        living = select(ModelVersionRow.id).where(ModelVersionRow.workspace_id == workspace_id, ModelVersionRow.deleted_at.is_(None))
        return _newest_of(Source(living, newest_first=True), most, paging)
    if first.newest_first and len(first.sources) == 1:
        return _newest_of(first.sources[0], most, paging)
    parts = (_newest_of(source, most, paging) if first.newest_first else _few(source, 2 * FEW) for source in first.sources)
    ids = union_all(*(select(part.subquery().c[0]) for part in parts)).subquery().c[0]
    return _after(select(ids.label("id")), ids, paging).group_by(ids).order_by(ids.desc()).limit(most)


def _newest_of(source: Source, most: int, paging: Paging) -> Select[str]:
    id_ = source.ids.selected_columns[0]
    chosen = _after(source.ids.with_only_columns(id_.label("id")), id_, paging)
    return chosen.order_by(*(column.desc() for column in source.order), id_.desc()).limit(most)


def _few(source: Source, most: int) -> Select[str]:
    return source.ids.order_by(*source.order).limit(most)


def _after(chosen: Select[str], id_: ColumnElement[str], paging: Paging) -> Select[str]:
    return chosen if paging.after is None else chosen.where(id_ < paging.after[0])


def _fitting(workspace_id: str, found: Sequence[Filter], most: int) -> Select[str]:
    """Facts first: an index answers for them, and the row of a version is large.

    A planner that is left to choose believes that what is sought is spread evenly, and walks all versions: so each candidate is looked up by itself,
    in the order in which they come; asked for that order again, SQLite would look up all of them before the first is told.
    """
    living = (ModelVersionRow.id == CANDIDATES.c.id, ModelVersionRow.workspace_id == workspace_id, ModelVersionRow.deleted_at.is_(None))
    fits = (
        select(ModelVersionRow.id)
        .where(*living, *(each.condition for each in found if each.of_row))
        .limit(1)
        .correlate(CANDIDATES)
        .scalar_subquery()
        .is_not(None)
    )
    return select(CANDIDATES.c.id).where(*(each.condition for each in found if not each.of_row), fits).limit(most)


def _found(answered: Sequence[Any], paging: Paging) -> Found:
    """The first row is there even when nothing was found: it tells the last id that was looked at, if that was not the last of all."""
    rows = [row for row in answered if row[0] is not None]
    last = answered[0].last
    more = cursor_after(rows, [ModelVersionRow.id], paging)
    return Found(rows, more or (cursor_of([last]) if last is not None else None))

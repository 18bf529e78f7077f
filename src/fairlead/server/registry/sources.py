"""Where a search begins, so that it reads little however many versions there are.

What each filter's index holds is counted, up to FEW. When one has fewer, the search begins with the ids that it holds, the newest first, and looks
each up until the page is full. When all have more, versions are walked from the newest on: matches are so frequent that a page fills soon.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, union_all
from sqlalchemy.orm import Session

from fairlead.server.paging import Paging, refuse_strange
from fairlead.server.registry import names
from fairlead.server.registry.filters import Filter, Source
from fairlead.server.tables.registry import ModelVersionRow

FEW = 10_000


def smallest(session: Session, found: Sequence[Filter]) -> Filter | None:
    """None when none has fewer than FEW versions, or there is nothing to choose from."""
    candidates = [each for each in found if each.sources]
    if not candidates:
        return None
    counts = list(session.execute(select(*map(_count, candidates))).one())
    least = min(counts)
    return candidates[counts.index(least)] if least < FEW else None


def rows_among(session: Session, first: Filter, conditions: Sequence[ColumnElement[bool]], paging: Paging) -> list[Any]:
    """A page of the versions that the filter's index finds, newest first; one row more when there are more.

    Step by step, each behind a limit: a planner that is left to choose believes that what is sought is spread evenly, and walks all versions.
    The ids come sorted out of the inner step and are looked up in that order; asked for it again, SQLite would look up all of them first.
    """
    ids = union_all(*(select(_few(source, 2 * FEW).subquery().c[0]) for source in first.sources)).subquery().c[0]
    newest = select(ids.label("id")).distinct().order_by(ids.desc()).offset(0)
    if paging.after is not None:
        refuse_strange(paging.after, [ModelVersionRow.id])
        newest = newest.where(ids < paging.after[0])
    id_ = newest.subquery().c.id
    fits = select(ModelVersionRow.id).where(ModelVersionRow.id == id_, *conditions).limit(1)
    page = select(id_.label("id")).where(fits.correlate(id_.table).scalar_subquery().is_not(None)).limit(paging.limit + 1)
    chosen = names.version_rows().where(ModelVersionRow.id.in_(select(page.subquery().c.id)))
    return list(session.execute(chosen.order_by(ModelVersionRow.id.desc())).all())


def _count(each: Filter) -> ColumnElement[int]:
    counts: list[ColumnElement[int]] = [select(func.count()).select_from(_few(source, FEW).subquery()).scalar_subquery() for source in each.sources]
    return functools.reduce(operator.add, counts)


def _few(source: Source, most: int) -> Select[str]:
    return source.ids.order_by(*source.order).limit(most)

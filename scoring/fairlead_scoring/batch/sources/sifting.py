"""Rows that are taken and rows that are not: after <= t < before."""

from __future__ import annotations

import datetime as dt
from typing import Any, List, Optional, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fairlead_scoring.batch.job import Input
from fairlead_scoring.batch.sources.pieces import Piece, Run, Unusable, line_of


def instant(text: str, kind: pa.DataType) -> pa.Scalar:
    """An ISO 8601 time as a column of that type has it; without a zone it is UTC. Raises Unusable."""
    try:
        moment = dt.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        moment = moment.astimezone(dt.timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        made = pa.scalar(moment, pa.timestamp("us")).cast(pa.timestamp("us", zone))
        return made.cast(kind) if pa.types.is_temporal(kind) else made
    except (pa.ArrowException, ValueError) as fault:
        raise Unusable(f"{text!r} is no time; write one such as 2024-03-01 or 2024-03-01T12:00:00Z ({line_of(fault)}).") from fault


def by_time(piece: Piece, order: Input) -> Piece:
    """The rows whose timestamp is in the range; those without one are in none."""
    column = piece.table[order.timestamp]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _times(column)
    mask: Any = pa.scalar(True)
    if order.after is not None:
        mask = pc.greater_equal(column, instant(order.after, column.type))
    if order.before is not None:
        mask = pc.and_(pc.less(column, instant(order.before, column.type)), mask)
    return kept(piece, mask)


def _times(column: Any) -> Any:
    """Texts as times; what is none is null."""
    coded = column.combine_chunks().dictionary_encode()
    return pa.array([_time(word) for word in coded.dictionary.to_pylist()], pa.timestamp("us")).take(coded.indices)


def _time(text: str) -> Any:
    try:
        return instant(text, pa.timestamp("us")).as_py()
    except Unusable:
        return None


def kept(piece: Piece, mask: Any) -> Piece:
    """The rows where the mask is true, and where they stand in the file."""
    mask = pc.fill_null(mask, False)
    if pc.all(mask).as_py():
        return piece
    rows = pc.indices_nonzero(mask).to_pylist()
    return Piece(piece.table.filter(mask), _runs_of(rows, piece.runs), piece.bad)


def _runs_of(rows: Sequence[int], runs: Sequence[Run]) -> List[Run]:
    """Runs of the rows (numbers in the table, ascending) as numbers in the file."""
    made: List[Run] = []
    at, passed = 0, 0
    for first, count in runs:
        start = at
        while at < len(rows) and rows[at] < passed + count:
            at += 1
        made += cut_at_gaps([row - passed for row in rows[start:at]], first)
        passed += count
    return made


def cut_at_gaps(rows: Sequence[int], first: Optional[int]) -> List[Run]:
    if first is None:
        return [(None, len(rows))] if rows else []
    made: List[Run] = []
    start = 0
    for place in range(1, len(rows) + 1):
        if place == len(rows) or rows[place] != rows[place - 1] + 1:
            made.append((first + rows[start], place - start))
            start = place
    return made

"""Text with the character NUL, which PostgreSQL has in no type."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from fairlead_scoring.batch.scoring.blocks import Refused

REASON = "the text holds the character NUL (\\x00), which PostgreSQL cannot store"


def without_nul(table: pa.Table) -> Tuple[pa.Table, List[Refused]]:
    """The other rows, and a cell of each that is left out."""
    found: Dict[int, Refused] = {}
    for name, column in zip(table.column_names, table.columns):
        for row in _rows(column):
            found.setdefault(row, Refused(row, name, REASON))
    if not found:
        return table, []
    return table.filter(pa.array([row not in found for row in range(table.num_rows)])), [found[row] for row in sorted(found)]


def _rows(column: pa.ChunkedArray) -> List[int]:
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_nested(kind):
        return [row for row, value in enumerate(column.to_pylist()) if _has_nul(value)]
    if not (types.is_string(kind) or types.is_large_string(kind)):
        return []
    text = column.cast(kind) if types.is_dictionary(column.type) else column
    hit = pc.fill_null(pc.match_substring(text, "\0"), False)
    return hit.to_numpy().nonzero()[0].tolist() if pc.any(hit).as_py() else []


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(each) for pair in value.items() for each in pair)
    return isinstance(value, (list, tuple)) and any(_has_nul(each) for each in value)

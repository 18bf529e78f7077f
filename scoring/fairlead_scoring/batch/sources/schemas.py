"""Schemas in plans, and tables of files that differ a little made the same."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any, Dict, List, Optional, Sequence

import pyarrow as pa

from fairlead_scoring.batch.sources.pieces import Unreadable, Unusable, line_of

Facts = Dict[str, Any]  # what a plan notes of an input, JSON


def schema_to_text(schema: pa.Schema) -> str:
    """Base64 of an Arrow IPC schema."""
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode("ascii")


def schema_from_text(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text)))


def taken(columns: Optional[Sequence[str]], names: Sequence[str], where: str) -> List[str]:
    """The names that are read, in the order in which they were asked for. Raises Unusable."""
    counts = Counter(names)
    wanted = list(dict.fromkeys(names if columns is None else columns))
    for name in wanted:
        if name not in counts:
            raise Unusable(f"{where} has no column {name!r}; it has {', '.join(names[:20])}.")
        if counts[name] > 1:
            raise Unusable(f"{where} has two columns {name!r}. Rename one of them, or name the columns that are to be read.")
    return wanted


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns and types of the plan. Raises Unreadable."""
    if table.schema.equals(schema):
        return table
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise Unreadable(f"The file has no column {missing[0]!r}; it has {', '.join(table.column_names[:10])}.")
    try:
        return table.select(schema.names).cast(schema).replace_schema_metadata(None)
    except (pa.ArrowException, ValueError) as fault:
        raise Unreadable(f"The file's types are not those of the first file: {line_of(fault)}") from fault

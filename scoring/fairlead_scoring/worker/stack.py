"""Putting the rows of several requests on top of each other, and taking the answer apart again."""

from __future__ import annotations

import sys
from typing import Any, List, Sequence


class NotStackable(ValueError):
    """The parts differ in kind, or the result has not as many rows as went in."""


def stacked(parts: Sequence[Any]) -> Any:
    """Lists, numpy arrays or pandas DataFrames of one kind, along the first axis."""
    first = parts[0]
    if any(type(part) is not type(first) for part in parts):
        raise NotStackable("requests of different kinds cannot share a run()")
    if isinstance(first, list):
        return [row for part in parts for row in part]
    library = type(first).__module__.split(".")[0]
    if library == "numpy":
        numpy = sys.modules["numpy"]
        if any(part.dtype != first.dtype or part.shape[1:] != first.shape[1:] for part in parts):
            raise NotStackable("arrays of different dtype or width cannot share a run()")
        return numpy.concatenate(parts)
    if library == "pandas":
        return sys.modules["pandas"].concat(parts, ignore_index=True)
    raise NotStackable(f"{type(first).__name__} cannot be stacked")


def split(result: Any, rows: Sequence[int]) -> List[Any]:
    """The result in pieces of so many rows each. Raises NotStackable when the rows do not add up."""
    if isinstance(result, dict):
        columns = {key: split(value, rows) for key, value in result.items()}
        return [{key: pieces[place] for key, pieces in columns.items()} for place in range(len(rows))]
    if isinstance(result, (str, bytes)) or not hasattr(result, "__len__"):
        raise NotStackable(f"run() answered {type(result).__name__} for {sum(rows)} rows; a batched run() answers one item per row")
    if len(result) != sum(rows):
        raise NotStackable(f"run() answered {len(result)} rows for {sum(rows)}; a batched run() answers one item per row")
    cut = result.iloc if hasattr(result, "iloc") else result
    pieces, start = [], 0
    for count in rows:
        pieces.append(cut[start : start + count])
        start += count
    return pieces

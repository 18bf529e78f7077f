"""Sample requests and answers, as text that goes over the wire."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairlead.errors import UsageError


def sample_text(said: object) -> str | None:
    """A sample as it goes over the wire: text as it is, a path's content, anything else as JSON. Raises UsageError."""
    if said is None or isinstance(said, str):
        return said
    if isinstance(said, os.PathLike):
        path = Path(said)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The sample {path} cannot be read ({error}).") from error
    try:
        return json.dumps(said, default=lambda value: value.tolist())
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"The sample cannot be written as JSON ({error}); give text, a path, or plain values.") from error


def bodies(said: object) -> list[bytes]:
    """Request bodies from a list of them, from a path with one per line, or from a tabular data set of one column. Raises UsageError."""
    if said is None:
        return []
    if hasattr(said, "to_arrow_table"):
        said = _only_column(said.to_arrow_table())
    if isinstance(said, str | os.PathLike):
        text = sample_text(Path(said)) or ""
        return [line.encode() for line in text.splitlines() if line.strip()]
    if not isinstance(said, Iterable):
        raise UsageError(f"Requests are a list of bodies, a path with one per line, or a tabular data set of one column; not a {type(said).__name__}.")
    return [(sample_text(each) or "").encode() for each in said]


def _only_column(table: Any) -> list[object]:
    """As Azure ML's `Model.profile` has them: one column, a request's text in each row."""
    if table.num_columns != 1:
        raise UsageError(
            f"The data set has {table.num_columns} columns ({', '.join(table.column_names)}); requests are one column of texts, a body in each row."
        )
    return list(table.column(0).to_pylist())

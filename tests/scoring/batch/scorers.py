"""Mini-batches through a scorer, in the test's own process; the fixture `opened` gives one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from fairlead_scoring.batch.scoring import Scored, Scorer

Open = Callable[..., Scorer]


def score(scorer: Scorer, rows: Any, *args: Any, **said: Any) -> Scored:
    is_table = isinstance(rows, pa.Table)
    count = rows.num_rows if is_table else len(rows)
    batch = SimpleNamespace(
        index=0,
        table=rows if is_table else None,
        paths=None if is_table else rows,
        bad=[],
        items=count,
        urls=[],
        group=(),
        origin=lambda item: ("file.parquet", 1000 + item),
    )
    return scorer.score(batch, *args, **said)


def column(scored: Scored, name: str = "prediction") -> list[Any]:
    assert scored.table is not None
    found: list[Any] = scored.table.column(name).to_pylist()
    return found


def table(**columns: Any) -> pa.Table:
    return pa.table(columns)

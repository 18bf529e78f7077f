"""One process's scorer: a bundle's script, loaded once; mini-batches in, answers and quarantined items out."""

from __future__ import annotations

import json
import os
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.scoring.answers import as_table
from fairlead_scoring.batch.scoring.blocks import Refused, by_row
from fairlead_scoring.batch.scoring.mini_batches import BatchScript
from fairlead_scoring.batch.scoring.nul import without_nul
from fairlead_scoring.batch.scoring.online import OnlineScript
from fairlead_scoring.batch.scoring.trials import Segment, TooMany, Trials, Tried
from fairlead_scoring.batch.shards import Bad
from fairlead_scoring.errors import RuntimeFault
from fairlead_scoring.worker.encoding import native
from fairlead_scoring.worker.faults import user_frames
from fairlead_scoring.worker.main import initialise
from fairlead_scoring.worker.script import load
from fairlead_scoring.worker.step import Overdue

SHOWN = 1000
FILE = "file"  # a script for requests answers what is in a file, and not which


@dataclass(frozen=True)
class Scored:
    """table: answers with the columns kept beside them, None without any. failed: items in quarantine, and those without a result."""

    table: Optional[pa.Table]
    bad: List[Bad]
    items: int
    failed: int
    tries: int
    seconds: float


@dataclass
class Watch:
    """What the parent is told: a run() of these items of that mini-batch begins, and has ended. `error`: an exception of the script, for its log."""

    begun: Callable[[int, int, int], None] = field(default=lambda _index, _start, _stop: None)
    ended: Callable[[], None] = field(default=lambda: None)
    error: Callable[[str], None] = field(default=lambda _text: None)


class Clash(RuntimeFault):
    """One of two columns would be lost without a word."""

    cause = "output-invalid"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The input's column {name!r} is to be kept (--keep), and the answers have a column {name!r} of their own with other values. "
            f"Leave {name!r} out of what is kept, or rename it in the input or in the answers."
        )


class Scorer:
    """app_root, entry_script, options, flavor: as `workplace.Workplace` says them."""

    def __init__(self, order: Order, workplace: Mapping[str, Any], watch: Optional[Watch] = None) -> None:
        """Imports the script. Raises ScriptFault."""
        self.order = order
        self.watch = watch or Watch()
        self._app_root = str(workplace["app_root"])
        self._flavor = workplace.get("flavor")
        entry = workplace.get("entry_script")
        root = Path(self._app_root)
        kept = () if order.output is None else tuple(dict.fromkeys((*order.output.keep, *order.output.partition_by)))
        self._kept = kept
        self.script: Any
        if order.script is not None:
            self.script = BatchScript(root / order.script, root, order)
        else:
            self._online = load(Path(entry) if entry else None, root, None, options=dict(workplace.get("options") or {}))
            self.script = OnlineScript(self._online, order.method, kept)

    def init(self) -> None:
        """Raises RuntimeFault: ScriptFault, NoFit."""
        if isinstance(self.script, OnlineScript):
            initialise(self._online, self._flavor)
        self.script.init()

    def shutdown(self) -> None:
        self.script.shutdown()

    def score(self, batch: Any, segments: Sequence[Segment] = (), most_failed: Optional[int] = None) -> Scored:
        """batch: a `sources.Batch`. Raises NoFit where no row of the input can be scored, TooMany."""
        rows = batch.table if batch.table is not None else list(batch.paths)
        began = time.perf_counter()
        work = _Work(self, batch, rows)
        tried = work.go_through(segments, most_failed)
        pieces: List[_Piece] = [piece for _, _, piece in tried.done]
        missing = sum(piece.missing for piece in pieces)
        bad = [*batch.bad, *work.bad(tried)]
        failed = len(bad) + missing
        if missing:
            bad.append(work.silent(missing))
        table = _joined([piece.table for piece in pieces if piece.table is not None and piece.table.num_rows])
        return Scored(table, bad, batch.items, failed, tried.tries, time.perf_counter() - began)

    def beside(self, rows: Any, table: pa.Table) -> pa.Table:
        """With the columns that are kept. Raises Clash where the script answers one of them itself, and something else than the input has."""
        if not isinstance(rows, pa.Table):
            return table
        for name in self.order.output.keep if self.order.output is not None else ():
            if name in table.column_names and name in rows.column_names and not _is_alike(rows.column(name), table.column(name)):
                raise Clash(name)
        kept = [name for name in self._kept if name not in table.column_names and name in rows.column_names]
        if not kept:
            return table  # with what its schema says of it: that it is lines
        return pa.table(dict(zip([*kept, *table.column_names], [*(rows.column(name) for name in kept), *table.columns])))

    def storable(self, table: pa.Table) -> Tuple[pa.Table, List[Refused]]:
        """Without the rows that a database cannot hold."""
        is_for_database = self.order.output is not None and self.order.output.table is not None
        return without_nul(table) if is_for_database else (table, [])

    def reason_of(self, error: BaseException) -> str:
        """A sentence; the traceback goes to the log of errors."""
        if isinstance(error, Overdue):
            seconds = self.order.limits.run_invocation_timeout
            said = f"run() took longer than {seconds:g} s"
        else:
            text = str(error).strip().split("\n", 1)[0]
            said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        where = _where(error, self._app_root)
        self.watch.error(f"{said}{where}\n{user_frames(error)}")
        return f"{said}{where}"


class _Piece(NamedTuple):
    """What one run() gave. refused: rows of the mini-batch that did not fit."""

    table: Optional[pa.Table]
    missing: int
    refused: List[Refused]


class _Work:
    """One mini-batch on its way through the script."""

    def __init__(self, scorer: Scorer, batch: Any, rows: Any) -> None:
        self._scorer = scorer
        self._batch = batch
        self._rows = rows
        self._is_table = isinstance(rows, pa.Table)
        self.size = int(rows.num_rows) if self._is_table else len(rows)
        self._group = {key: self._value_of(key, text) for key, text in zip(scorer.order.partition_keys, batch.group)}

    def go_through(self, segments: Sequence[Segment], most_failed: Optional[int]) -> Tried:
        trials = Trials(self._attempt, self._scorer.reason_of, self._scorer.order.limits.run_max_try, most_failed)
        try:
            return trials.go_through(segments or [Segment(0, self.size)])
        except TooMany as too_many:
            raise TooMany(str(self._bad(too_many.item, None, str(too_many))), too_many.item) from too_many

    def _attempt(self, start: int, stop: int) -> _Piece:
        watch, script = self._scorer.watch, self._scorer.script
        watch.begun(self._batch.index, start, stop)
        try:
            rows = self._rows if start == 0 and stop == self.size else self._cut(start, stop)
            ready = script.prepare(rows, self._group)
            refused = [each._replace(row=start + row) for row, each in sorted(by_row(ready.refused).items())]
            if refused:
                spoilt = {each.row - start for each in refused}
                rows = rows.filter(pa.array([row not in spoilt for row in range(stop - start)]))
                if not rows.num_rows:
                    return _Piece(None, 0, refused)
                ready = script.prepare(rows, self._group)
            table, size = script.run(ready)
            if table is not None and not self._is_table and isinstance(script, OnlineScript):
                table = table.add_column(0, FILE, pa.array((self._batch.urls or self._rows)[start:stop], pa.string()))
            missing = stop - start - len(refused) - size
            if table is None:
                return _Piece(None, missing, refused)
            table, unstorable = self._scorer.storable(self._scorer.beside(rows, table))
            return _Piece(table, missing, [*refused, *_moved(unstorable, start, stop, refused)])
        finally:
            watch.ended()

    def _value_of(self, key: str, text: str) -> Any:
        """As the rows have it; a folder's name is text."""
        return self._rows.column(key)[0].as_py() if self._is_table and self.size and key in self._rows.column_names else text

    def _cut(self, start: int, stop: int) -> Any:
        return self._rows.slice(start, stop - start) if self._is_table else self._rows[start:stop]

    def bad(self, tried: Tried) -> List[Bad]:
        refused = [(each.row, each.column or None, each.reason) for _, _, piece in tried.done for each in piece.refused]
        found = [*refused, *((item, None, reason) for item, reason in tried.given_up)]
        return [self._bad(*each) for each in sorted(found, key=lambda each: each[0])]

    def silent(self, missing: int) -> Bad:
        url, row = self._batch.origin(0)
        return Bad(
            url, row, None, f"run() gave no result for {missing} of the {self.size} items of the mini-batch that begins here; which ones, it did not say"
        )

    def _bad(self, item: int, column: Optional[str], reason: str) -> Bad:
        url, row = self._batch.origin(item)
        return Bad(url, row, column, reason, _shown(self._rows.slice(item, 1)) if self._is_table else None)


def _moved(answers: Sequence[Refused], start: int, stop: int, refused: Sequence[Refused]) -> List[Refused]:
    """From rows of the answers to items of the mini-batch, of which those refused have none."""
    if not answers:
        return []
    gone = {each.row for each in refused}
    items = [item for item in range(start, stop) if item not in gone]
    return [each._replace(row=items[min(each.row, len(items) - 1)]) for each in answers]


def _is_alike(kept: pa.ChunkedArray, answered: pa.ChunkedArray) -> bool:
    """A script may hand through what it was given, and pandas may have made other types of it."""
    if len(kept) != len(answered):
        return False
    if kept.equals(answered):
        return True
    return [_plain(value) for value in kept.to_pylist()] == [_plain(value) for value in answered.to_pylist()]


def _plain(value: Any) -> Any:
    return None if value != value else value  # noqa: PLR0124  (NaN is null)


def _shown(row: pa.Table) -> str:
    """A row as JSON. That a value cannot be shown (text that is no UTF-8, a year beyond 9999) must not end the job: it is why the row is bad."""
    found = {name: _value(column) for name, column in zip(row.column_names, row.columns)}
    return json.dumps(found, default=_json, ensure_ascii=False)[:SHOWN]


def _value(column: pa.ChunkedArray) -> Any:
    try:
        return column[0].as_py()
    except Exception:  # noqa: BLE001  (Arrow's and Python's errors for each type)
        return f"(no valid {column.type})"


def _json(value: Any) -> Any:
    try:
        return native(value)
    except Exception:  # noqa: BLE001  (a class without any form in JSON)
        return str(value)


def _joined(tables: List[pa.Table]) -> Optional[pa.Table]:
    """Pieces of one mini-batch; where they disagree about a column's type, it is text."""
    if len(tables) < 2:
        return tables[0] if tables else None
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        names = list(dict.fromkeys(name for table in tables for name in table.column_names))
        rows = [row for table in tables for row in table.to_pylist()]
        return as_table({name: [row.get(name) for row in rows] for name in names})


def _where(error: BaseException, app_root: str) -> str:
    """The last line of the user's own code in the traceback; where it has none, the line that called."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(app_root + os.sep)]
    return f" ({os.path.relpath(frames[-1].filename, app_root)}, line {frames[-1].lineno})" if frames else ""

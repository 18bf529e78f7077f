"""A batch script: init() once, run(mini_batch) with a list of paths or a DataFrame, shutdown() at the end, as ParallelRunStep calls it."""

from __future__ import annotations

import inspect
import sys
import typing
from pathlib import Path
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.scoring.answers import BadAnswer, as_table, lines_of, size_of
from fairlead_scoring.batch.scoring.blocks import Refused
from fairlead_scoring.worker.faults import ScriptFault
from fairlead_scoring.worker.loading import MODULE_NAME, import_script
from fairlead_scoring.worker.shims import install

TEXT_OF = {"append_row": "text"}
PANDAS, ARROW, POLARS = "pandas", "pyarrow", "polars"


class Given(NamedTuple):
    value: Any
    items: int
    refused: List[Refused]


class Paths(List[str]):
    """A list that can have attributes."""


class BatchScript:
    """prepare(rows or paths) → Given, run(Given) → a table (None where nothing is to be kept), and how many items it stands for."""

    def __init__(self, entry: Path, app_root: Path, order: Order) -> None:
        install()
        self._keeps = order.output is not None and order.output.action != "summary_only"
        self._is_text = order.output is not None and not order.output.keep and "text" in (order.output.format, TEXT_OF.get(order.output.action))
        self._aligns = bool(order.output and order.output.keep)
        sys.argv = [str(entry), *order.arguments, *_undocumented(order)]
        self._loaded = import_script(entry, app_root, None)
        self._shutdown: Optional[Callable[[], Any]] = getattr(sys.modules[MODULE_NAME], "shutdown", None)
        self._form = _form(self._loaded.run)

    def init(self) -> None:
        """Raises ScriptFault."""
        self._loaded.initialise()
        if not inspect.signature(self._loaded.run).parameters:
            raise ScriptFault(f"run() of {self._loaded.path} takes nothing; a batch script has run(mini_batch).")

    def prepare(self, rows: Any, group: Optional[Mapping[str, Any]] = None) -> Given:
        """group: value of each partition key, which lists of paths, pandas' and polars' tables have as `partition_key_value`."""
        given = self._given(rows)
        if group and not isinstance(given.value, pa.Table):
            object.__setattr__(given.value, "partition_key_value", dict(group))  # pandas would warn of a column that is none
        return given

    def _given(self, rows: Any) -> Given:
        if not isinstance(rows, pa.Table):
            return Given(Paths(rows), len(rows), [])
        if self._form == ARROW:
            return Given(rows, rows.num_rows, [])
        if self._form == POLARS:
            import polars as pl

            return Given(pl.from_arrow(rows), rows.num_rows, [])
        return Given(rows.to_pandas(use_threads=False), rows.num_rows, [])

    def run(self, given: Given) -> Tuple[Optional[pa.Table], int]:
        result = self._loaded.run(given.value)
        size = size_of(result)
        if size > given.items:
            raise BadAnswer(f"run() answered {size} results for {given.items} items; it must answer one for each that it could score, and no more.")
        if not self._keeps:
            return None, size
        if self._aligns and size < given.items:
            raise BadAnswer(f"run() answered {size} results for {given.items} rows; columns can be kept beside them only where every row has one.")
        if self._is_text and isinstance(result, (list, tuple)):
            return lines_of(result), size
        return as_table(result), size

    def shutdown(self) -> None:
        if self._shutdown is not None:
            self._shutdown()


def _form(run: Callable[..., Any]) -> str:
    """What the first parameter is annotated with; pandas where nothing is said."""
    first = next(iter(inspect.signature(run).parameters.values()), None)
    hint: Any = None if first is None else first.annotation
    if isinstance(hint, str):
        try:
            hint = typing.get_type_hints(run).get(first.name if first else "", hint)
        except (NameError, TypeError):
            pass  # a name that is only there for type checkers: its text says enough
    said = hint if isinstance(hint, str) else f"{getattr(hint, '__module__', '')}.{getattr(hint, '__name__', '')}"
    if said.startswith(("polars.", "pl.")):
        return POLARS
    return ARROW if said.startswith(("pyarrow.", "pa.")) else PANDAS


def _undocumented(order: Order) -> Sequence[str]:
    """Azure's driver adds words of its own, which is why scripts there use parse_known_args()."""
    size = order.mini_batch.files or order.mini_batch.bytes or order.mini_batch.rows
    action = order.output.action if order.output else "summary_only"
    said = {"mini_batch_size": size, "error_threshold": order.limits.error_threshold, "output_action": action, "logging_level": order.log_level}
    more = {"run_invocation_timeout": round(order.limits.run_invocation_timeout), "run_max_try": order.limits.run_max_try}
    return [word for name, value in {**said, **more}.items() if value is not None for word in (f"--{name}", str(value))]

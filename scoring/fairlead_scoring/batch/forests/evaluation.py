"""A compiled model in three steps: ONNX Runtime up to the trees, the trees' tables, ONNX Runtime from their sums on."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, Mapping, Optional, Sequence

import numpy as np

from fairlead_scoring.artifact import threads
from fairlead_scoring.batch.forests import assembly
from fairlead_scoring.batch.forests.kernel import Kernel
from fairlead_scoring.batch.forests.onnx_file import cut
from fairlead_scoring.batch.forests.tables import tables_of
from fairlead_scoring.batch.forests.unfit import Unfit

FEWEST = 256  # rows, for which three steps are worth their way
BLOCK = 4096  # rows
MOST_BYTES = 4 << 20  # of a block

LOG = logging.getLogger(__name__)
Run = Callable[[Sequence[str], Mapping[str, Any]], List[Any]]


def evaluator(session: Any, path: str) -> Run:
    """session: an onnxruntime.InferenceSession of the model at `path`. What gives the bytes that its run() gives; itself where nothing is gained."""
    name = os.path.basename(path)
    try:
        evaluation = Evaluation(session, path)
    except Unfit as reason:
        LOG.info("ONNX Runtime evaluates the trees of %s: %s", name, reason)
        run: Run = session.run
        return run
    LOG.info("the trees of %s are evaluated as tables, in %d steps", name, evaluation.steps)
    return evaluation.run


class Evaluation:
    def __init__(self, session: Any, path: str) -> None:
        """Raises Unfit."""
        with open(path, "rb") as file:
            parts = cut(file.read())
        self._tables = tables_of(parts.trees, parts.is_rounded)
        self._kernel = Kernel(self._tables)
        self.steps = len(self._tables.chunks)
        self._whole = session
        self._before: Optional[Any] = None if parts.before is None else _session(session, parts.before)
        self._behind = _session(session, parts.behind)
        self._source, self._sums = parts.source, parts.sums
        self._pool = ThreadPoolExecutor(threads()) if threads() > 1 else None

    def run(self, outputs: Sequence[str], feed: Mapping[str, Any]) -> List[Any]:
        rows = next(iter(feed.values()))
        if len(rows) < FEWEST:
            whole: List[Any] = self._whole.run(outputs, feed)
            return whole
        source = rows if self._before is None else self._before.run([self._source], feed)[0]
        found: List[Any] = self._behind.run(outputs, {self._sums: self._summed(source)})
        return found

    def _summed(self, rows: Any) -> Any:
        dtype = self._tables.chunks[0].values.dtype
        sums = np.empty((len(rows), self._tables.outputs), dtype)
        size = self._block(rows)

        def sum_up(start: int) -> None:
            some = rows[start : start + size]
            columns = np.empty((rows.shape[1], -(-len(some) // assembly.ROWS) * assembly.ROWS), np.float32 if self._tables.is_rounded else np.float64)
            with np.errstate(over="ignore", under="ignore"):
                columns[:, : len(some)] = some.T
            columns[:, len(some) :] = 0
            into = np.zeros((self._tables.outputs, columns.shape[1]), dtype)
            self._kernel.add(columns, into)
            sums[start : start + size] = into[:, : len(some)].T

        list((map if self._pool is None else self._pool.map)(sum_up, range(0, len(rows), size)))
        return sums

    def _block(self, rows: Any) -> int:
        width: int = rows.shape[1]
        return max(assembly.ROWS, min(BLOCK, MOST_BYTES // (width * 8) // assembly.ROWS * assembly.ROWS))


def _session(like: Any, content: bytes) -> Any:
    """Of a part of the model, with the options of the whole."""
    import onnxruntime

    return onnxruntime.InferenceSession(content, like.get_session_options(), providers=like.get_providers())

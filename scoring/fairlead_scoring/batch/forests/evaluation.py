"""A compiled model in three steps: ONNX Runtime up to the trees, the trees' tables, ONNX Runtime from their sums on."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, Mapping, Optional, Sequence

import numpy as np

from fairlead_scoring.artifact import threads
from fairlead_scoring.batch.forests.kernels import TableKernel, WalkKernel
from fairlead_scoring.batch.forests.nodes import Nodes
from fairlead_scoring.batch.forests.onnx_file import cut
from fairlead_scoring.batch.forests.tables import WIDTHS
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
    LOG.info("the trees of %s are evaluated as %s", name, evaluation.kernel.said)
    return evaluation.run


class Evaluation:
    def __init__(self, session: Any, path: str) -> None:
        """Raises Unfit."""
        with open(path, "rb") as file:
            parts = cut(file.read())
        self._nodes = Nodes(parts.trees, parts.is_rounded)
        self.kernel = (TableKernel if self._nodes.most_leaves <= WIDTHS[-1] else WalkKernel)(self._nodes)
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
        if source.ndim != 2 or source.shape[1] < self._nodes.columns:
            raise ValueError(f"The rows have the shape {source.shape}, and the trees look at {self._nodes.columns} columns.")
        found: List[Any] = self._behind.run(outputs, {self._sums: self._summed(source)})
        return found

    def _summed(self, rows: Any) -> Any:
        sums = np.empty((len(rows), self._nodes.outputs), self._nodes.weights.dtype)
        block = self.kernel.rows
        width: int = rows.shape[1]
        size = max(1, min(BLOCK, MOST_BYTES // (width * 8)) // block) * block

        def sum_up(start: int) -> None:
            some = rows[start : start + size]
            into = np.zeros((sums.shape[1], -(-len(some) // block) * block), sums.dtype)
            with np.errstate(over="ignore", under="ignore"):  # of numbers that float32 does not have
                self.kernel.add(some, into)
            sums[start : start + size] = into[:, : len(some)].T

        list((map if self._pool is None else self._pool.map)(sum_up, range(0, len(rows), size)))
        return sums


def _session(like: Any, content: bytes) -> Any:
    """Of a part of the model, with the options of the whole."""
    import onnxruntime

    return onnxruntime.InferenceSession(content, like.get_session_options(), providers=like.get_providers())

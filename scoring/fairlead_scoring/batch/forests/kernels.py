"""Two ways to sum up trees: look leaves up in tables, or walk to them without a branch that depends on the row.

add(rows, sums): rows of (rows, features), sums of (outputs, rows rounded up to whole blocks), to which the values of the trees are added.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead_scoring.batch.forests import table_code, walk_code
from fairlead_scoring.batch.forests.machine import Function, on_lines
from fairlead_scoring.batch.forests.nodes import Nodes
from fairlead_scoring.batch.forests.tables import tables_of
from fairlead_scoring.batch.forests.walks import walks_of

WORDS = {"float32": "float", "float64": "double"}


class TableKernel:
    rows = table_code.ROWS  # in a block

    def __init__(self, nodes: Nodes) -> None:
        """Raises NotHere."""
        tables = tables_of(nodes)
        text = table_code.written(tables.bits, tables.vectors, WORDS[nodes.thresholds.dtype.name], WORDS[nodes.weights.dtype.name])
        self._score = Function(text)
        self._dtype = nodes.thresholds.dtype
        self._chunks = [each._replace(table=on_lines(each.table)) for each in tables.chunks]
        self.said = f"tables, {len(self._chunks)} in all"

    def add(self, rows: Any, sums: Any) -> None:
        stride = sums.shape[1]
        columns = np.empty((rows.shape[1], stride), self._dtype)
        columns[:, : len(rows)] = rows.T
        columns[:, len(rows) :] = 0
        for chunk in self._chunks:
            bins = np.empty((len(chunk.features), self.rows), np.int32)
            leaves = np.empty((table_code.GROUP, chunk.table.shape[1]), np.int32)
            out = sums[chunk.outputs]
            self._score(
                columns, stride, stride // self.rows, chunk.features, len(chunk.features), chunk.thresholds,
                chunk.table, chunk.trees, chunk.values, len(out), bins, leaves, out,
            )  # fmt: skip


class WalkKernel:
    rows = walk_code.ROWS

    def __init__(self, nodes: Nodes) -> None:
        """Raises NotHere, Unfit."""
        walks = walks_of(nodes)
        self._trees = max(len(each.roots) for each in walks.parts)
        self._score = Function(walk_code.written(self._trees, WORDS[nodes.thresholds.dtype.name], WORDS[nodes.weights.dtype.name]))
        self._dtype = nodes.thresholds.dtype
        self._walks = walks._replace(parts=[each._replace(nodes=on_lines(each.nodes)) for each in walks.parts])
        self.said = f"walks of {walk_code.STEPPING} rows at a time"

    def add(self, rows: Any, sums: Any) -> None:
        stride = sums.shape[1]
        found = np.zeros((stride, len(self._walks.columns)), self._dtype)
        some = found[: len(rows)]
        some[...] = rows[:, self._walks.columns]
        np.copyto(some, self._walks.for_nan, where=np.isnan(some))
        leaves = np.empty((self.rows, self._trees), np.int32)
        for part in self._walks.parts:
            out = sums[part.outputs]
            self._score(
                found, found.shape[1], stride // self.rows, part.nodes, part.numbers, part.roots, len(part.roots),
                part.values, part.values.shape[1], len(out), leaves, stride, out,
            )  # fmt: skip

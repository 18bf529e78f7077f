"""Trees to be walked through: a node is 16 bytes, its children are neighbours, and a leaf is its own left child, so that a step is the same everywhere."""

from __future__ import annotations

from typing import Any, List, NamedTuple

import numpy as np

from fairlead_scoring.batch.forests.nodes import Nodes, Part
from fairlead_scoring.batch.forests.unfit import Unfit

FEWEST_TREES = 4  # fewer gain nothing
MOST_TREES = 10_000  # of one output


class Walk(NamedTuple):
    """nodes: threshold, column, left child. numbers: of leaves, by node. values: (outputs, leaves)."""

    outputs: slice
    roots: Any
    nodes: Any
    numbers: Any
    values: Any


class Walks(NamedTuple):
    """columns: features, twice where NaN goes to either side. for_nan: of each column, the infinity that goes where NaN is to go."""

    columns: Any
    for_nan: Any
    parts: List[Walk]


def walks_of(nodes: Nodes) -> Walks:
    """Raises Unfit."""
    parts = nodes.parts()
    if (nodes.nan_goes_right & np.isposinf(nodes.thresholds)).any():
        raise Unfit("a split parts NaN from everything else, in a tree of more than 64 leaves")
    trees = sum(len(group.roots) for part in parts for group in part.groups)
    if trees < FEWEST_TREES:
        raise Unfit(f"it has {trees} trees, of more than 64 leaves: too few to gain by it")
    wanted, column_of = np.unique(np.stack([nodes.features, nodes.nan_goes_right]), axis=1, return_inverse=True)
    for_nan = np.where(wanted[1] == 1, np.inf, -np.inf).astype(nodes.thresholds.dtype)
    if max(len(part.groups) for part in parts) > MOST_TREES:
        raise Unfit(f"it has more than {MOST_TREES} trees, of more than 64 leaves")
    return Walks(wanted[0], for_nan, [_walk(nodes, part, column_of.ravel()) for part in parts])


def _walk(nodes: Nodes, part: Part, column_of: Any) -> Walk:
    number = nodes.thresholds.dtype
    dtype = np.dtype({"names": ["threshold", "column", "left"], "formats": [number, "<i4", "<i4"], "offsets": [0, 8, 12], "itemsize": 16})
    made = np.zeros(sum(2 * group.size + 1 for group in part.groups), dtype)
    numbers = np.zeros(len(made), np.int32)
    roots, values = [], []
    start = leaves = 0
    for group in part.groups:
        root, end = group.roots[0], group.roots[0] + group.size
        slots = np.arange(2 * group.size + 1)
        inner = np.concatenate([[0], (nodes.children[:, root:end] - root).T.ravel()])  # of each slot: the root, then left and right of each split
        is_leaf = np.concatenate([[False], nodes.are_leaves[:, root:end].T.ravel()])
        inner[is_leaf] = 0
        some = made[start : start + len(slots)]
        some["threshold"] = np.where(is_leaf, number.type(np.inf), nodes.thresholds[root + inner])
        some["column"] = np.where(is_leaf, 0, column_of[root + inner])
        some["left"] = start + np.where(is_leaf, slots, 2 * inner + 1)
        at = slots[is_leaf] - 1
        numbers[start + 1 + at] = leaves + np.arange(len(at))
        values.append(nodes.values(part, group, at % 2, at // 2))
        roots.append(start)
        start, leaves = start + len(slots), leaves + len(at)
    return Walk(part.outputs, np.array(roots, np.int32), made, numbers, np.concatenate(values, axis=1))

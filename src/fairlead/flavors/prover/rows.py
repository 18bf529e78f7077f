"""The rows that a compiled model is proved on: beside every split threshold, in the sample's range, ten times it, and with nulls."""

from __future__ import annotations

from typing import Any

import numpy as np

from .forest import Forest, Tree

STEPS = (0, 1, -1)  # on a threshold, and the float32 beside it on either side


def generated(sample: Any, forests: list[tuple[Forest, list[Any]]], nulls: bool, count: int, seed: int) -> tuple[Any, int]:
    """(rows, how many of them lie beside a threshold). Half beside thresholds, as far as there are trees; each forest comes with the scalers before it."""
    random = np.random.default_rng(seed)
    beside = [_beside(sample, forest, scalers, count // 2, random) for forest, scalers in forests]
    kept = [rows for rows in beside if len(rows)]
    rest = count - sum(map(len, kept))
    near = _in_range(sample, rest // 2, 1.0, random)
    far = _in_range(sample, rest - rest // 2, 10.0, random)
    if nulls:
        for rows in (near, far):
            rows[random.random(rows.shape) < 0.1] = np.nan
    return np.vstack([sample, *kept, near, far]), sum(map(len, kept))


def _in_range(sample: Any, count: int, times: float, random: Any) -> Any:
    low, high = _range(sample)
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + random.uniform(-1, 1, (count, sample.shape[1])) * half * times


def _range(sample: Any) -> tuple[Any, Any]:
    """Of each column; one that does not vary in the sample gets its own size, or 1."""
    known = np.where(np.isfinite(sample), sample, 0.0)
    low, high = known.min(axis=0), known.max(axis=0)
    flat = low == high
    spread = np.where(flat, np.maximum(np.abs(low), 1.0), 0.0)
    return low - spread, high + spread


def _beside(sample: Any, forest: Forest, scalers: list[Any], count: int, random: Any) -> Any:
    """Rows that reach a split and lie on its threshold or one float32 step off it; every split in turn, evenly thinned when there are too many."""
    scalers = [step for step in scalers if type(step).__name__ != "SimpleImputer"]  # leaves rows without nulls as they are
    if any(not hasattr(step, "inverse_transform") for step in scalers):
        return np.empty((0, sample.shape[1]))
    splits = [(tree, int(node), step) for tree in forest.trees for node in np.flatnonzero(tree.left >= 0) for step in STEPS]
    if not splits:
        return np.empty((0, sample.shape[1]))
    chosen = [splits[index] for index in np.linspace(0, len(splits) - 1, min(count, len(splits))).astype(int)]
    while len(chosen) < count:
        chosen += chosen[: count - len(chosen)]
    start = np.nan_to_num(sample)
    for step in scalers:
        start = step.transform(start)
    start = np.asarray(start, dtype=float)[random.integers(0, len(sample), len(chosen))]
    parents = {id(tree): _parents(tree) for tree in forest.trees}
    placed = np.array([_placed(row, parents[id(tree)], tree, node, step) for row, (tree, node, step) in zip(start, chosen)])
    for scaler in reversed(scalers):
        placed = scaler.inverse_transform(placed)
    return placed


def _parents(tree: Tree) -> Any:
    parents = np.full(len(tree.left), -1)
    inner = np.flatnonzero(tree.left >= 0)
    parents[tree.left[inner]] = inner
    parents[tree.right[inner]] = inner
    return parents


def _placed(row: Any, parents: Any, tree: Tree, node: int, step: int) -> Any:
    """The row moved just far enough to reach the node, then onto its threshold."""
    row = row.copy()
    low: dict[int, float] = {}
    high: dict[int, float] = {}
    child = node
    while parents[child] >= 0:
        parent = int(parents[child])
        feature, edge = int(tree.feature[parent]), float(tree.threshold[parent])
        if tree.left[parent] == child:
            high[feature] = min(high.get(feature, np.inf), edge)
        else:
            low[feature] = max(low.get(feature, -np.inf), edge)
        child = parent
    for feature in {*low, *high}:
        least, most = low.get(feature, -np.inf), high.get(feature, np.inf)
        if not least < row[feature] <= most:
            row[feature] = _between(least, most)
    row[int(tree.feature[node])] = _off(float(tree.threshold[node]), step)
    return row


def _between(least: float, most: float) -> float:
    if np.isfinite(least) and np.isfinite(most):
        return (least + most) / 2
    return _off(least, 1) if np.isfinite(least) else _off(most, -1)


def _off(edge: float, step: int) -> float:
    """The edge itself, or the first float32 above it (step 1) or below it (step -1)."""
    if step == 0 or not np.isfinite(edge):
        return edge
    nearest = np.float32(edge)
    beyond = (float(nearest) - edge) * step > 0
    return float(nearest if beyond else np.nextafter(nearest, np.float32(np.inf * step)))

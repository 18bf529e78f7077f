"""Trees as tables of bit masks, after QuickScorer (Lucchese et al., SIGIR 2015).

The leaves of a tree are the bits of a mask, from left to right. A split that sends a row to the right rules out the leaves on its left; what is left when
all splits have spoken is a set whose first leaf is the row's. So each feature has a table: for every interval between its thresholds, and for NaN, one
mask for each tree. A row is scored by looking up its interval of each feature, and AND.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from fairlead_scoring.batch.forests.unfit import Unfit

SUM, PLAIN = 1, 0  # of aggregate_function and post_transform
AT_MOST, BELOW = 0, 1  # of nodes_modes: what goes to the left
WIDTHS = (8, 16, 32, 64)  # of masks
VECTOR = 64  # bytes of masks that are taken in hand at once
MOST_VECTORS = 7
MOST_BYTES = 1 << 20  # of a table: what is near to a core


class Chunk(NamedTuple):
    """Some of the trees, for some of the outputs.

    features: of each its number, its first threshold, how many, its first row of the table, and the row for NaN. table: (rows, lanes).
    values: (outputs, lanes * bits), of leaves; a lane is a tree, or none.
    """

    outputs: slice
    trees: int
    thresholds: Any
    features: Any
    table: Any
    values: Any


class Tables(NamedTuple):
    """bits: of a mask. vectors: in a row of a table. is_rounded: rows and thresholds are float32."""

    bits: int
    vectors: int
    is_rounded: bool
    outputs: int
    chunks: List[Chunk]


class _Split(NamedTuple):
    feature: int
    threshold: float
    ruled_out: int
    nan_goes_right: bool


class _Group(NamedTuple):
    """A tree; or several in a row that differ only in their leaves, as classes of a forest do. leaves: of each output, their values."""

    splits: List[_Split]
    leaves: Dict[int, Any]


def tables_of(node: Dict[str, Any], is_rounded: bool) -> Tables:
    """node: attributes of a TreeEnsemble. Raises Unfit."""
    nodes = _Nodes(node, is_rounded)
    groups = nodes.groups()
    parts = _parts(groups, nodes.outputs)
    bits = next(each for each in WIDTHS if each >= nodes.most_leaves)
    lanes = VECTOR * 8 // bits
    cut = [(outputs, chunk) for outputs, some in parts for chunk in _chunks(some, lanes)]
    vectors = max(-(-len(chunk) // lanes) for _, chunk in cut)
    dtypes = (np.dtype(f"uint{bits}"), nodes.thresholds.dtype, nodes.weights.dtype)
    chunks = [_chunk(outputs, chunk, vectors * lanes, dtypes) for outputs, chunk in cut]
    return Tables(bits, vectors, nodes.thresholds.dtype == "float32", nodes.outputs, chunks)


class _Nodes:
    def __init__(self, node: Dict[str, Any], is_rounded: bool) -> None:
        modes = set(node["nodes_modes"].tolist())
        if node["aggregate_function"] != SUM or node["post_transform"] != PLAIN or modes not in ({AT_MOST}, {BELOW}):
            raise Unfit("its trees are of a kind that is not known here")
        self.outputs = int(node["n_targets"])
        self.weights = node["leaf_weights"]
        self.thresholds = _lifted(node["nodes_splits"], modes == {BELOW}, is_rounded or node["nodes_splits"].dtype == "float32")
        self._features = node["nodes_featureids"]
        self._nan_left = node.get("nodes_missing_value_tracks_true", np.zeros(len(self._features), np.int64))
        self._targets = node["leaf_targetids"]
        self._children = np.stack([node["nodes_truenodeids"], node["nodes_falsenodeids"]])
        self._are_leaves = np.stack([node["nodes_trueleafs"], node["nodes_falseleafs"]]) != 0
        self._roots = node["tree_roots"]
        sizes = np.diff(self._roots, append=len(self._features))
        self.most_leaves = int(sizes.max()) + 1
        if sizes.min() < 1 or self.most_leaves > WIDTHS[-1]:
            raise Unfit(f"a tree has {self.most_leaves} leaves, and only such of {WIDTHS[-1]} at most are turned into tables")

    def groups(self) -> List[_Group]:
        found: List[_Group] = []
        last: Tuple[bytes, ...] = ()
        places: Any = None
        for root, end in zip(self._roots.tolist(), [*self._roots[1:].tolist(), len(self._features)]):
            form = self._form(root, end)
            if form != last:
                splits, places = self._walked(root)
            leaves = self._leaves(root, places)
            if form == last and not found[-1].leaves.keys() & leaves.keys():
                found[-1].leaves.update(leaves)
            else:
                found.append(_Group(splits, leaves))
            last = form
        return found

    def _form(self, root: int, end: int) -> Tuple[bytes, ...]:
        some = slice(root, end)
        children = np.where(self._are_leaves[:, some], -1, self._children[:, some] - root)
        return tuple(each.tobytes() for each in (self._features[some], self.thresholds[some], self._nan_left[some], children))

    def _walked(self, root: int) -> Tuple[List[_Split], Any]:
        """(its splits, where its leaves hang: side and node, from left to right)."""
        splits: List[_Split] = []
        places: List[Tuple[int, int]] = []

        def walk(node: int) -> None:
            first = len(places)
            step(0, node)
            ruled_out = (1 << len(places)) - (1 << first)
            step(1, node)
            splits.append(_Split(int(self._features[node]), self.thresholds[node], ruled_out, not self._nan_left[node]))

        def step(side: int, node: int) -> None:
            if self._are_leaves[side, node]:
                places.append((side, node - root))
            else:
                walk(int(self._children[side, node]))

        walk(root)
        return splits, np.array(places).T

    def _leaves(self, root: int, places: Any) -> Dict[int, Any]:
        ids = self._children[places[0], places[1] + root]
        targets, weights = self._targets[ids], self.weights[ids]
        return {target: np.where(targets == target, weights, weights.dtype.type(0)) for target in np.unique(targets).tolist()}


def _lifted(thresholds: Any, is_below: bool, is_single: bool) -> Any:
    """Thresholds t, so that exactly the rows with x > t go to the right. Rows that are float32 need none that float32 does not have."""
    if np.isnan(thresholds).any():
        raise Unfit("a threshold is no number")
    if is_below:
        if np.isneginf(thresholds).any():
            raise Unfit("a threshold is minus infinity")
        thresholds = np.nextafter(thresholds, thresholds.dtype.type(-np.inf))
    if not is_single or thresholds.dtype == "float32":
        return thresholds
    with np.errstate(over="ignore", under="ignore"):
        rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _parts(groups: Sequence[_Group], outputs: int) -> List[Tuple[slice, List[_Group]]]:
    """By output, where each tree adds to one only; the trees of one output stay in their order."""
    if any(len(group.leaves) > 1 for group in groups):
        return [(slice(0, outputs), list(groups))]
    by_output: Dict[int, List[_Group]] = {}
    for group in groups:
        by_output.setdefault(next(iter(group.leaves)), []).append(group)
    return [(slice(output, output + 1), some) for output, some in sorted(by_output.items())]


def _chunks(groups: Sequence[_Group], lanes: int) -> List[Sequence[_Group]]:
    """Of as many trees each as keep its table near to the core."""
    count = 0
    while True:
        count += 1
        size = -(-len(groups) // count)
        some = [groups[start : start + size] for start in range(0, len(groups), size)]
        vectors = -(-size // lanes)
        if size == 1 or (vectors <= MOST_VECTORS and max(sum(len(each.splits) for each in chunk) for chunk in some) * vectors * VECTOR <= MOST_BYTES):
            return some


def _chunk(outputs: slice, groups: Sequence[_Group], lanes: int, dtypes: Tuple[Any, Any, Any]) -> Chunk:
    masks, numbers, sums = dtypes
    by_feature: Dict[int, List[Tuple[_Split, int]]] = {}
    for lane, group in enumerate(groups):
        for split in group.splits:
            by_feature.setdefault(split.feature, []).append((split, lane))
    thresholds: List[Any] = []
    rows: List[Any] = []
    features = []
    for feature, splits in sorted(by_feature.items()):
        some, intervals, nan = _intervals(splits, lanes, masks)
        features.append((feature, len(thresholds), len(some), len(rows), len(rows) + len(intervals)))
        thresholds += some
        rows += [*intervals, nan]
    bits = masks.itemsize * 8
    values = np.zeros((outputs.stop - outputs.start, lanes * bits), sums)
    for lane, group in enumerate(groups):
        for output, leaves in group.leaves.items():
            values[output - outputs.start, lane * bits : lane * bits + len(leaves)] = leaves
    return Chunk(outputs, len(groups), np.array(thresholds, numbers), np.array(features, np.int32), np.stack(rows), values)


def _intervals(splits: Sequence[Tuple[_Split, int]], lanes: int, masks: Any) -> Tuple[List[Any], List[Any], Any]:
    """Of one feature: its thresholds, the masks of the intervals between them, which are one more, and those of NaN."""
    full = int(np.iinfo(masks).max)
    thresholds: List[Any] = []
    intervals: List[Any] = []
    mask, nan = np.full(lanes, full, masks), np.full(lanes, full, masks)
    for split, lane in sorted(splits, key=lambda each: each[0].threshold):
        kept = masks.type(full & ~split.ruled_out)
        if not thresholds or thresholds[-1] != split.threshold:
            intervals.append(mask.copy())
            thresholds.append(split.threshold)
        mask[lane] &= kept
        if split.nan_goes_right:
            nan[lane] &= kept
    return thresholds, [*intervals, mask], nan

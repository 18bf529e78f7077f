"""Trees as tables of bit masks, after QuickScorer (Lucchese et al., SIGIR 2015).

The leaves of a tree are the bits of a mask, from left to right. A split that sends a row to the right rules out the leaves on its left; what is left when
all splits have spoken is a set whose first leaf is the row's. So each feature has a table: for every interval between its thresholds, and for NaN, one
mask for each tree. A row is scored by looking up its interval of each feature, and AND.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from fairlead_scoring.batch.forests.nodes import Group, Nodes, Part

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
    """bits: of a mask. vectors: in a row of a table."""

    bits: int
    vectors: int
    chunks: List[Chunk]


class _Split(NamedTuple):
    feature: int
    threshold: Any
    ruled_out: int
    nan_goes_right: bool


def tables_of(nodes: Nodes) -> Tables:
    """Of trees with no more leaves than the widest mask has bits."""
    bits = next(each for each in WIDTHS if each >= nodes.most_leaves)
    lanes = VECTOR * 8 // bits
    cut = [Part(part.outputs, some) for part in nodes.parts() for some in _chunks(part.groups, lanes)]
    vectors = max(-(-len(part.groups) // lanes) for part in cut)
    return Tables(bits, vectors, [_chunk(nodes, part, vectors * lanes, np.dtype(f"uint{bits}")) for part in cut])


def _chunks(groups: List[Group], lanes: int) -> List[List[Group]]:
    """Of as many trees each as keep its table near to the core."""
    count = 0
    while True:
        count += 1
        size = -(-len(groups) // count)
        some = [groups[start : start + size] for start in range(0, len(groups), size)]
        vectors = -(-size // lanes)
        if size == 1 or (vectors <= MOST_VECTORS and max(sum(each.size for each in chunk) for chunk in some) * vectors * VECTOR <= MOST_BYTES):
            return some


def _chunk(nodes: Nodes, part: Part, lanes: int, masks: Any) -> Chunk:
    bits = masks.itemsize * 8
    values = np.zeros((part.outputs.stop - part.outputs.start, lanes * bits), nodes.weights.dtype)
    by_feature: Dict[int, List[Tuple[_Split, int]]] = {}
    for lane, group in enumerate(part.groups):
        splits, sides, places = _walked(nodes, group.roots[0])
        values[:, lane * bits : lane * bits + len(sides)] = nodes.values(part, group, sides, places)
        for split in splits:
            by_feature.setdefault(split.feature, []).append((split, lane))
    thresholds: List[Any] = []
    rows: List[Any] = []
    features = []
    for feature, some in sorted(by_feature.items()):
        edges, intervals, nan = _intervals(some, lanes, masks)
        features.append((feature, len(thresholds), len(edges), len(rows), len(rows) + len(intervals)))
        thresholds += edges
        rows += [*intervals, nan]
    return Chunk(part.outputs, len(part.groups), np.array(thresholds, nodes.thresholds.dtype), np.array(features, np.int32), np.stack(rows), values)


def _walked(nodes: Nodes, root: int) -> Tuple[List[_Split], Any, Any]:
    """(splits; sides and nodes, counted from the root, where the leaves hang, from left to right)."""
    splits: List[_Split] = []
    places: List[Tuple[int, int]] = []

    def walk(node: int) -> None:
        first = len(places)
        step(0, node)
        ruled_out = (1 << len(places)) - (1 << first)
        step(1, node)
        splits.append(_Split(int(nodes.features[node]), nodes.thresholds[node], ruled_out, bool(nodes.nan_goes_right[node])))

    def step(side: int, node: int) -> None:
        if nodes.are_leaves[side, node]:
            places.append((side, node - root))
        else:
            walk(int(nodes.children[side, node]))

    walk(root)
    sides, hang = np.array(places).T
    return splits, sides, hang


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

"""The trees of a TreeEnsemble: checked, in the form that both ways of evaluating them start from."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Set, Tuple

import numpy as np

from fairlead_scoring.batch.forests.unfit import Unfit

SUM, PLAIN = 1, 0  # of aggregate_function and post_transform
AT_MOST, BELOW = 0, 1  # of nodes_modes: what goes to the left


class Group(NamedTuple):
    """A tree; or several in a row that differ only in their leaves, as classes of a forest do. roots: of each. size: splits. outputs: to which it adds."""

    roots: List[int]
    size: int
    outputs: Set[int]


class Part(NamedTuple):
    """Trees that are summed up together, in their order."""

    outputs: slice
    groups: List[Group]


class Nodes:
    """thresholds: such that exactly the rows with x > t go to the right; float32 where rows are. children, are_leaves: left and right of every split."""

    def __init__(self, node: Dict[str, Any], is_rounded: bool) -> None:
        """node: attributes. Raises Unfit."""
        modes = set(node["nodes_modes"].tolist())
        if node["aggregate_function"] != SUM or node["post_transform"] != PLAIN or modes not in ({AT_MOST}, {BELOW}):
            raise Unfit("its trees are of a kind that is not known here")
        self.outputs = int(node["n_targets"])
        self.weights = node["leaf_weights"]
        self.thresholds = _lifted(node["nodes_splits"], modes == {BELOW}, is_rounded)
        self.features = node["nodes_featureids"]
        self.nan_goes_right = node.get("nodes_missing_value_tracks_true", np.zeros(len(self.features), np.int64)) == 0
        self.children = np.stack([node["nodes_truenodeids"], node["nodes_falsenodeids"]])
        self.are_leaves = np.stack([node["nodes_trueleafs"], node["nodes_falseleafs"]]) != 0
        self._targets = node["leaf_targetids"]
        self._roots = node["tree_roots"]
        self._sizes = np.diff(self._roots, append=len(self.features))
        self._check()
        self.columns = int(self.features.max()) + 1
        self.most_leaves = int(self._sizes.max()) + 1

    def _check(self) -> None:
        """What is compiled from here reads and writes where these numbers say. Raises Unfit."""
        count = len(self.features)
        if {len(self.thresholds), len(self.nan_goes_right), self.children.shape[1], self.are_leaves.shape[1]} != {count}:
            raise Unfit("its trees lack some of what belongs to a split")
        if not count or self._roots[0] != 0 or self._sizes.min() < 1:
            raise Unfit("its trees do not follow one another")
        ends = np.repeat(self._roots + self._sizes, self._sizes)
        inner, leaves = self.children[~self.are_leaves], self.children[self.are_leaves]
        is_below = (self.children > np.arange(count)) & (self.children < ends)
        if not (is_below | self.are_leaves).all() or len(np.unique(inner)) != len(inner) or len(inner) != count - len(self._roots):
            raise Unfit("its splits do not hang below one another as a tree's do")
        if leaves.min() < 0 or leaves.max() >= min(len(self.weights), len(self._targets)):
            raise Unfit("a split leads to a leaf that is not there")
        if self._targets.min() < 0 or self._targets.max() >= self.outputs or self.features.min() < 0:
            raise Unfit("it names an output or a feature that is not there")

    def parts(self) -> List[Part]:
        """By output, where each tree adds to one only."""
        groups = self._groups()
        if any(len(group.outputs) > 1 for group in groups):
            return [Part(slice(0, self.outputs), groups)]
        by_output: Dict[int, List[Group]] = {}
        for group in groups:
            by_output.setdefault(min(group.outputs), []).append(group)
        return [Part(slice(output, output + 1), some) for output, some in sorted(by_output.items())]

    def _groups(self) -> List[Group]:
        found: List[Group] = []
        last: Tuple[bytes, ...] = ()
        for root, size in zip(self._roots.tolist(), self._sizes.tolist()):
            some = slice(root, root + size)
            inner = np.where(self.are_leaves[:, some], -1, self.children[:, some] - root)
            form = tuple(each.tobytes() for each in (self.features[some], self.thresholds[some], self.nan_goes_right[some], inner))
            outputs = set(np.unique(self._targets[self.children[:, some][self.are_leaves[:, some]]]).tolist())
            if form == last and not found[-1].outputs & outputs:
                found[-1].roots.append(root)
                found[-1].outputs.update(outputs)
            else:
                found.append(Group([root], size, outputs))
            last = form
        return found

    def values(self, part: Part, group: Group, sides: Any, nodes: Any) -> Any:
        """(outputs of the part, leaves): of the leaves that hang on these sides of these nodes, counted from the root."""
        found = np.zeros((part.outputs.stop - part.outputs.start, len(sides)), self.weights.dtype)
        for root in group.roots:
            ids = self.children[sides, nodes + root]
            found[self._targets[ids] - part.outputs.start, np.arange(len(ids))] = self.weights[ids]
        return found


def _lifted(thresholds: Any, is_below: bool, is_rounded: bool) -> Any:
    """Rows that are float32 need no threshold that float32 does not have."""
    if np.isnan(thresholds).any():
        raise Unfit("a threshold is no number")
    if is_below:
        if np.isneginf(thresholds).any():
            raise Unfit("a threshold is minus infinity")
        thresholds = np.nextafter(thresholds, thresholds.dtype.type(-np.inf))
    if not is_rounded or thresholds.dtype == "float32":
        return thresholds
    with np.errstate(over="ignore", under="ignore"):
        rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)

"""Trees of every library in one shape, and their ONNX node.

Why ai.onnx.ml 5 `TreeEnsemble` in double: scikit-learn casts inputs to float32 and compares them with float64 thresholds, and adds float64 leaves.
The older operators keep thresholds and sums in float32, so rows beside a threshold and tied votes come out differently. In double, with the
cast as a node of its own, comparisons and sums are the library's own, at the same speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

SUM, NO_TRANSFORM = 1, 0
MODES = {"<=": 0, "<": 1}


@dataclass
class Tree:
    """One tree as arrays over its nodes; left is -1 at a leaf. missing_left: where NaN goes. value: (nodes, outputs), used at leaves."""

    feature: Any
    threshold: Any
    left: Any
    right: Any
    missing_left: Any
    value: Any
    target: int = 0  # output of the first column of `value`


@dataclass
class Forest:
    """sum over trees, per output. compare: "<=" or "<" sends a row to the left. dtype: of inputs while they are compared, and of the sums."""

    trees: list[Tree]
    outputs: int
    compare: str = "<="
    inputs_as: str = "float32"
    sums_as: str = "float64"


@dataclass
class _Arrays:
    roots: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    true_id: list[int] = field(default_factory=list)
    true_leaf: list[int] = field(default_factory=list)
    false_id: list[int] = field(default_factory=list)
    false_leaf: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)


def tree_node(forest: Forest, source: str, result: str) -> Any:
    """The TreeEnsemble node: (rows, features) of the sums' dtype in, (rows, outputs) out."""
    arrays = _Arrays()
    for tree in forest.trees:
        for single in _one_weight_per_leaf(tree):
            _append(arrays, single)
    dtype = np.dtype(forest.sums_as)
    modes = np.full(len(arrays.feature), MODES[forest.compare], dtype=np.uint8)
    return helper.make_node(
        "TreeEnsemble",
        [source],
        [result],
        domain="ai.onnx.ml",
        n_targets=forest.outputs,
        aggregate_function=SUM,
        post_transform=NO_TRANSFORM,
        tree_roots=arrays.roots,
        nodes_featureids=arrays.feature,
        nodes_splits=numpy_helper.from_array(np.array(arrays.threshold, dtype)),
        nodes_modes=numpy_helper.from_array(modes),
        nodes_missing_value_tracks_true=arrays.missing,
        nodes_truenodeids=arrays.true_id,
        nodes_trueleafs=arrays.true_leaf,
        nodes_falsenodeids=arrays.false_id,
        nodes_falseleafs=arrays.false_leaf,
        leaf_targetids=arrays.target,
        leaf_weights=numpy_helper.from_array(np.array(arrays.weight, dtype)),
    )


def _one_weight_per_leaf(tree: Tree) -> list[Tree]:
    """The operator's leaves carry one number for one output: a tree with several becomes one tree each, unless every leaf has one that counts."""
    if tree.value.shape[1] == 1:
        return [tree]
    leaves = tree.left < 0
    if (np.count_nonzero(tree.value[leaves], axis=1) <= 1).all():
        return [tree]
    return [
        Tree(tree.feature, tree.threshold, tree.left, tree.right, tree.missing_left, tree.value[:, [column]], tree.target + column)
        for column in range(tree.value.shape[1])
    ]


def _append(arrays: _Arrays, tree: Tree) -> None:
    inner = np.flatnonzero(tree.left >= 0)
    start = len(arrays.feature)
    arrays.roots.append(start)
    if not len(inner):
        _append_stump(arrays, tree)
        return
    place = {int(node): start + index for index, node in enumerate(inner)}
    for node in inner:
        arrays.feature.append(int(tree.feature[node]))
        arrays.threshold.append(float(tree.threshold[node]))
        arrays.missing.append(int(tree.missing_left[node]))
        for child, ids, leaves in ((int(tree.left[node]), arrays.true_id, arrays.true_leaf), (int(tree.right[node]), arrays.false_id, arrays.false_leaf)):
            ids.append(place[child] if child in place else _leaf(arrays, tree, child))
            leaves.append(int(child not in place))


def _append_stump(arrays: _Arrays, tree: Tree) -> None:
    """A tree of one leaf: a split whose sides are that leaf."""
    leaf = _leaf(arrays, tree, 0)
    arrays.feature.append(0)
    arrays.threshold.append(0.0)
    arrays.missing.append(1)
    for ids, leaves in ((arrays.true_id, arrays.true_leaf), (arrays.false_id, arrays.false_leaf)):
        ids.append(leaf)
        leaves.append(1)


def _leaf(arrays: _Arrays, tree: Tree, node: int) -> int:
    weights = tree.value[node]
    column = int(np.flatnonzero(weights)[0]) if np.any(weights) else 0
    arrays.target.append(tree.target + column)
    arrays.weight.append(float(weights[column]))
    return len(arrays.weight) - 1

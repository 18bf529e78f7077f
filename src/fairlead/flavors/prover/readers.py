"""Reads the trees out of scikit-learn, XGBoost and LightGBM models. A model it does not know for certain is None or refused, never approximated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .forest import Forest, Tree


class Unconvertible(Exception):
    """The sentence says what stands in the way."""


@dataclass
class Ensemble:
    """forest, then sums / divisor + base, then the link: "mean" (class frequencies), "sigmoid", "softmax", "exp" or "identity".

    positive: how a binary label is cut from the margin, ">" or ">=" zero; "p>" cuts the probability at one half.
    """

    forest: Forest
    link: str
    divisor: float = 1.0
    base: Any = 0.0
    positive: str = ">"


def read(model: Any) -> Ensemble | None:
    """The model as trees, or None when it is no tree model known here. Raises Unconvertible where trees hold what ONNX does not."""
    for cls in type(model).__mro__:
        reader = _READERS.get((cls.__module__.split(".")[0], cls.__name__))
        if reader:
            return reader(model)
    return None


def _sklearn_tree(tree: Any, value: Any, target: int = 0) -> Tree:
    nodes = tree.__getstate__()["nodes"]
    missing = nodes["missing_go_to_left"] if "missing_go_to_left" in nodes.dtype.names else np.zeros(len(nodes))
    return Tree(nodes["feature"], nodes["threshold"], nodes["left_child"], nodes["right_child"], missing, value, target)


def _average(model: Any) -> Ensemble:
    """Decision trees and forests. A forest is the mean of its trees; dividing the sum afterwards is what scikit-learn does."""
    members = getattr(model, "estimators_", [model])
    if getattr(model, "n_outputs_", 1) != 1:
        raise Unconvertible(f"a {type(model).__name__} with several targets has no conversion here")
    classifier = hasattr(model, "classes_")
    trees = []
    for each in members:
        value = each.tree_.value[:, 0, :]
        trees.append(_sklearn_tree(each.tree_, value / value.sum(axis=1, keepdims=True) if classifier and not _normal(value) else value))
    forest = Forest(trees, len(model.classes_) if classifier else 1)
    return Ensemble(forest, "mean" if classifier else "identity", divisor=float(len(members)))


def _normal(value: Any) -> bool:
    return bool(np.allclose(value.sum(axis=1), 1.0))


def _gradient_boosting(model: Any) -> Ensemble:
    width = model.estimators_.shape[1]
    members = [(model.estimators_[index].tree_, index[1]) for index in np.ndindex(*model.estimators_.shape)]
    trees = [_sklearn_tree(tree, model.learning_rate * tree.value[:, 0, :], target) for tree, target in members]
    rows = np.zeros((1, model.n_features_in_), dtype=np.float32)
    if not isinstance(model.init_, str) and type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise Unconvertible("gradient boosting that starts from another model has no conversion here")
    base = model._raw_predict_init(rows)[0]
    if not hasattr(model, "classes_"):
        return Ensemble(Forest(trees, width), "identity", base=base)
    if model.loss != "log_loss":
        raise Unconvertible(f"gradient boosting with the loss {model.loss!r} has no conversion here")
    return Ensemble(Forest(trees, width), "sigmoid" if width == 1 else "softmax", base=base, positive=">=")


def _histogram(model: Any) -> Ensemble:
    if getattr(model, "is_categorical_", None) is not None and np.any(model.is_categorical_):
        raise Unconvertible("histogram gradient boosting with categorical features has no conversion here")
    trees = [_histogram_tree(each.nodes, target) for row in model._predictors for target, each in enumerate(row)]
    width = model.n_trees_per_iteration_
    forest = Forest(trees, width, inputs_as="float64")
    base = np.asarray(model._baseline_prediction, dtype=float).ravel()
    if hasattr(model, "classes_"):
        return Ensemble(forest, "sigmoid" if width == 1 else "softmax", base=base)
    return Ensemble(forest, "exp" if model.loss in ("poisson", "gamma") else "identity", base=base)


def _histogram_tree(nodes: Any, target: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    left = np.where(leaf, -1, nodes["left"].astype(np.int64))
    right = np.where(leaf, -1, nodes["right"].astype(np.int64))
    return Tree(nodes["feature_idx"], nodes["num_threshold"], left, right, nodes["missing_go_to_left"], nodes["value"][:, None], target)


def _xgb_model(model: Any) -> Ensemble:
    booster = model.get_booster()
    best = booster.attr("best_iteration")
    return xgboost_booster(booster[: int(best) + 1] if best is not None else booster)


def xgboost_booster(booster: Any) -> Ensemble:
    """float32 throughout, as XGBoost itself computes; a split sends x < threshold to the left."""
    learner = json.loads(booster.save_raw("json"))["learner"]
    if learner["gradient_booster"]["name"] != "gbtree":
        raise Unconvertible(f"the booster {learner['gradient_booster']['name']} has no conversion here")
    model = learner["gradient_booster"]["model"]
    if any(each["categories"] for each in model["trees"]):
        raise Unconvertible("XGBoost trees with categorical splits have no conversion here")
    if any(int(each["tree_param"].get("size_leaf_vector", "1") or 1) > 1 for each in model["trees"]):
        raise Unconvertible("XGBoost trees with several outputs have no conversion here")
    trees = [_xgboost_tree(each, target) for each, target in zip(model["trees"], model["tree_info"])]
    said = learner["learner_model_param"]
    width = max(int(said.get("num_class", "0")), int(said.get("num_target", "1")), 1)
    score = np.array([float(each) for each in said["base_score"].strip("[]").split(",")], dtype=np.float32)
    objective = learner["objective"]["name"]
    link, base = _xgboost_link(objective, score)
    return Ensemble(Forest(trees, width, compare="<", sums_as="float32"), link, base=base, positive="p>")


def _xgboost_link(objective: str, score: Any) -> Any:
    """XGBoost states the base score before the link."""
    if objective == "binary:logistic":
        return "sigmoid", -np.log(1 / score - 1)
    if objective in ("multi:softprob", "multi:softmax"):
        return "softmax", score
    if objective in ("count:poisson", "reg:gamma", "reg:tweedie"):
        return "exp", np.log(score)
    if objective in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror"):
        return "identity", score
    raise Unconvertible(f"the objective {objective} has no conversion here")


def _xgboost_tree(said: dict[str, Any], target: int) -> Tree:
    conditions = np.array(said["split_conditions"], dtype=np.float32)
    left = np.array(said["left_children"])
    right, missing = np.array(said["right_children"]), np.array(said["default_left"])
    return Tree(np.array(said["split_indices"]), conditions, left, right, missing, conditions[:, None], target)


def _lgbm_model(model: Any) -> Ensemble:
    return lightgbm_booster(model.booster_)


def lightgbm_booster(booster: Any) -> Ensemble:
    said = booster.dump_model(num_iteration=booster.best_iteration if booster.best_iteration > 0 else None)
    width = said["num_tree_per_iteration"]
    trees = [_lightgbm_tree(each["tree_structure"], index % width) for index, each in enumerate(said["tree_info"])]
    forest = Forest(trees, width, inputs_as="float64")
    name, *options = said.get("objective", "regression").split(" ")
    count = float(len(trees) // width) if said.get("average_output") else 1.0
    if name == "binary" and "sigmoid:1" in options:
        return Ensemble(forest, "sigmoid", divisor=count, positive="p>")
    if name == "multiclass":
        return Ensemble(forest, "softmax", divisor=count, positive="p>")
    if name in ("poisson", "gamma", "tweedie"):
        return Ensemble(forest, "exp", divisor=count)
    if name in ("regression", "regression_l1", "huber", "fair", "quantile", "mape") and "sqrt" not in options:
        return Ensemble(forest, "identity", divisor=count)
    raise Unconvertible(f"the objective {said.get('objective')} has no conversion here")


def _lightgbm_tree(root: dict[str, Any], target: int) -> Tree:
    rows: list[list[float]] = []
    stack = [(root, -1, 0)]
    while stack:
        node, parent, side = stack.pop()
        place = len(rows)
        if parent >= 0:
            rows[parent][side] = place
        if "leaf_value" in node:
            rows.append([0, 0.0, -1, -1, 0, node["leaf_value"]])
            continue
        rows.append([node["split_feature"], node["threshold"], -2, -2, _lightgbm_missing(node), 0.0])
        stack += [(node["right_child"], place, 3), (node["left_child"], place, 2)]
    table = np.array(rows, dtype=float)
    feature, left, right, missing = (table[:, column].astype(int) for column in (0, 2, 3, 4))
    return Tree(feature, table[:, 1], left, right, missing, table[:, [5]], target)


def _lightgbm_missing(node: dict[str, Any]) -> bool:
    """Where NaN goes. Without missing values in training LightGBM reads NaN as 0; with `zero_as_missing` it reads 0 as NaN."""
    if node["decision_type"] != "<=" or "leaf_const" in node:
        raise Unconvertible("LightGBM trees with categorical splits or linear leaves have no conversion here")
    if node["missing_type"] == "Zero":
        raise Unconvertible("LightGBM trees that take zero for missing have no conversion here")
    return bool(node["default_left"]) if node["missing_type"] == "NaN" else node["threshold"] >= 0.0


_READERS: dict[Any, Callable[[Any], Ensemble]] = {
    **{("sklearn", name): _average for name in ("BaseDecisionTree", "ForestClassifier", "ForestRegressor")},
    **{("sklearn", name): _gradient_boosting for name in ("GradientBoostingClassifier", "GradientBoostingRegressor")},
    **{("sklearn", name): _histogram for name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")},
    ("xgboost", "XGBModel"): _xgb_model,
    ("xgboost", "Booster"): xgboost_booster,
    ("lightgbm", "LGBMModel"): _lgbm_model,
    ("lightgbm", "Booster"): lightgbm_booster,
}

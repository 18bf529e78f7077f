"""From a fitted model to ONNX: our own nodes, in double, for tree and linear models behind plain scalers; skl2onnx for the rest.

The graph has one double input "data" (what JSON numbers are); every cast the library makes is a node.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from .forest import tree_node
from .readers import Ensemble, Unconvertible, read

LINEAR = frozenset(
    [
        "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lasso", "LassoCV", "LinearRegression", "LinearSVC", "LinearSVR",
        "LogisticRegression", "LogisticRegressionCV", "Perceptron", "Ridge", "RidgeCV", "RidgeClassifier", "TheilSenRegressor",
    ]
)  # fmt: skip
FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64


class Graph:
    """Nodes in the making; each method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.methods: dict[str, str] = {}

    def add(self, operator: str, *inputs: str, **options: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **options))
        return name

    def constant(self, value: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def answer(self, method: str, source: str) -> None:
        self.nodes.append(helper.make_node("Identity", [source], [method]))
        self.methods[method] = method


def convert(model: Any, width: int) -> tuple[Any, dict[str, str]]:
    """(ONNX model, method -> output), the default method first. Raises Unconvertible."""
    steps = steps_of(model)
    try:
        graph = Graph()
        source = "data"
        for step in steps[:-1]:
            source = _transform(graph, step, source)
        _predict(graph, steps[-1], source, classes(model))
    except Unconvertible as ours:
        return _by_skl2onnx(model, width, ours)
    return _model(graph, width)


def classes(model: Any) -> Any | None:
    """The labels in the order of the scores; None for regression, and for boosters without (their labels are numbers)."""
    found = getattr(model, "classes_", None)
    return found if isinstance(found, np.ndarray) else None


def note(model: Any, said: dict[str, Any]) -> None:
    """What the scoring script needs to answer like the original: methods and their outputs, nulls, columns, the answer's schema."""
    entry = model.metadata_props.add()
    entry.key, entry.value = "fairlead", json.dumps(said)


def steps_of(model: Any) -> list[Any]:
    """The estimators that data goes through, the predictor last; a search stands for its best."""
    model = getattr(model, "best_estimator_", model)
    inside = getattr(model, "steps", None)
    if inside is None:
        return [model]
    return [each for _, step in inside if step is not None and not isinstance(step, str) for each in steps_of(step)]


def _model(graph: Graph, width: int) -> tuple[Any, dict[str, str]]:
    data = helper.make_tensor_value_info("data", DOUBLE, [None, width])
    outputs = [helper.make_empty_tensor_value_info(name) for name in graph.methods]
    whole = helper.make_graph(graph.nodes, "fairlead", [data], outputs, initializer=graph.constants)
    model = helper.make_model(whole, producer_name="fairlead", opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)])
    model.ir_version = 10
    return model, dict(graph.methods)


# Transformers


def _transform(graph: Graph, step: Any, source: str) -> str:
    write = _TRANSFORMERS.get(type(step).__name__)
    if write is None or not type(step).__module__.startswith("sklearn."):
        raise Unconvertible(f"{type(step).__name__} has no conversion here")
    return write(graph, step, source)


def _standard(graph: Graph, step: Any, source: str) -> str:
    if step.with_mean:
        source = graph.add("Sub", source, graph.constant(step.mean_.astype(float)))
    return graph.add("Div", source, graph.constant(step.scale_.astype(float))) if step.with_std else source


def _min_max(graph: Graph, step: Any, source: str) -> str:
    scaled = graph.add("Add", graph.add("Mul", source, graph.constant(step.scale_)), graph.constant(step.min_))
    return graph.add("Clip", scaled, *(graph.constant(np.float64(limit)) for limit in step.feature_range)) if step.clip else scaled


def _max_abs(graph: Graph, step: Any, source: str) -> str:
    return graph.add("Div", source, graph.constant(step.scale_))


def _robust(graph: Graph, step: Any, source: str) -> str:
    if step.with_centering:
        source = graph.add("Sub", source, graph.constant(step.center_))
    return graph.add("Div", source, graph.constant(step.scale_)) if step.with_scaling else source


def _impute(graph: Graph, step: Any, source: str) -> str:
    statistics = np.asarray(step.statistics_)
    plain = isinstance(step.missing_values, float) and np.isnan(step.missing_values) and statistics.dtype.kind == "f"
    if not plain or step.add_indicator or np.isnan(statistics.astype(float)).any():
        raise Unconvertible("this SimpleImputer has no conversion here")
    return graph.add("Where", graph.add("IsNaN", source), graph.constant(statistics.astype(float)), source)


def _components(graph: Graph, step: Any, source: str) -> str:
    if step.whiten:
        raise Unconvertible("PCA with whitening has no conversion here")
    moved = graph.add("Sub", source, graph.constant(step.mean_))
    return graph.add("MatMul", moved, graph.constant(step.components_.T.copy()))


def _select(graph: Graph, step: Any, source: str) -> str:
    return graph.add("Gather", source, graph.constant(np.flatnonzero(step.get_support())), axis=1)


_TRANSFORMERS: dict[str, Callable[[Graph, Any, str], str]] = {
    "StandardScaler": _standard, "MinMaxScaler": _min_max, "MaxAbsScaler": _max_abs, "RobustScaler": _robust, "SimpleImputer": _impute,
    "PCA": _components, "SelectKBest": _select, "SelectPercentile": _select, "SelectFromModel": _select, "VarianceThreshold": _select, "RFE": _select,
}  # fmt: skip


# Models


def _predict(graph: Graph, model: Any, source: str, labels: Any | None) -> None:
    ensemble = read(model)
    if ensemble is not None:
        _trees(graph, ensemble, source, labels)
    elif type(model).__name__ in LINEAR and type(model).__module__.startswith("sklearn."):
        _linear(graph, model, source, labels)
    else:
        raise Unconvertible(f"{type(model).__name__} has no conversion here")


def _trees(graph: Graph, ensemble: Ensemble, source: str, labels: Any | None) -> None:
    forest = ensemble.forest
    if forest.inputs_as == "float32":
        source = graph.add("Cast", source, to=FLOAT)
        source = source if forest.sums_as == "float32" else graph.add("Cast", source, to=DOUBLE)
    graph.nodes.append(tree_node(forest, source, "sums"))
    sums = "sums"
    dtype = np.dtype(forest.sums_as)
    if ensemble.divisor != 1:
        sums = graph.add("Div", sums, graph.constant(np.array(ensemble.divisor, dtype)))
    if np.any(ensemble.base):
        sums = graph.add("Add", sums, graph.constant(np.asarray(ensemble.base, dtype).reshape(1, -1)))
    _link(graph, ensemble.link, ensemble.positive, sums, labels)


def _linear(graph: Graph, model: Any, source: str, labels: Any | None) -> None:
    weights = np.atleast_2d(model.coef_).astype(float).T.copy()
    product = graph.add("MatMul", source, graph.constant(weights))
    margins = graph.add("Add", product, graph.constant(np.asarray(model.intercept_, dtype=float).reshape(1, -1)))
    if labels is None:
        _link(graph, "identity" if np.ndim(model.coef_) == 1 else "several", ">", margins, None)
    elif not hasattr(model, "predict_proba"):
        _labels(graph, _cut(graph, ">", margins, None) if weights.shape[1] == 1 else graph.add("ArgMax", margins, axis=1, keepdims=0), labels)
    elif weights.shape[1] == 1:
        _link(graph, "sigmoid", ">", margins, labels)
    elif getattr(model, "multi_class", "auto") == "ovr" or model.solver == "liblinear":
        raise Unconvertible("logistic regression one-versus-rest over several classes has no conversion here")
    else:
        _link(graph, "softmax", ">", margins, labels)


def _link(graph: Graph, link: str, positive: str, margins: str, labels: Any | None) -> None:
    if link in ("identity", "exp", "several"):
        plain = graph.add("Exp", margins) if link == "exp" else margins
        graph.answer("predict", plain if link == "several" else graph.add("Squeeze", plain, graph.constant(np.array([1]))))
        return
    if link == "sigmoid":
        chance = graph.add("Sigmoid", margins)
        one = graph.add("CastLike", graph.constant(np.float64(1)), chance)
        scores = graph.add("Concat", graph.add("Sub", one, chance), chance, axis=1)
        label = _cut(graph, positive, margins, chance)
    else:
        scores = graph.add("Softmax", margins, axis=1) if link == "softmax" else margins
        label = graph.add("ArgMax", scores if positive == "p>" else margins, axis=1, keepdims=0)
    graph.answer("predict_proba", scores)
    _labels(graph, label, labels)


def _cut(graph: Graph, positive: str, margins: str, chance: str | None) -> str:
    source, limit = (chance, 0.5) if positive == "p>" and chance else (margins, 0.0)
    edge = graph.add("CastLike", graph.constant(np.float64(limit)), source)
    flags = graph.add("GreaterOrEqual" if positive == ">=" else "Greater", source, edge)
    return graph.add("Squeeze", graph.add("Cast", flags, to=INT64), graph.constant(np.array([1])))


def _labels(graph: Graph, index: str, labels: Any | None) -> None:
    if labels is None or np.array_equal(labels, np.arange(len(labels))):
        graph.answer("predict", index)
        return
    values = labels.astype(object) if labels.dtype.kind in "UO" else labels
    graph.answer("predict", graph.add("Gather", graph.constant(values), index, axis=0))


# The rest


def _by_skl2onnx(model: Any, width: int, ours: Unconvertible) -> tuple[Any, dict[str, str]]:
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import DoubleTensorType
    except ImportError:
        raise Unconvertible(f"{ours}, and skl2onnx is not installed") from ours
    options: Any = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
    try:
        made = convert_sklearn(model, initial_types=[("data", DoubleTensorType([None, width]))], options=options)
    except Exception as fault:  # converters raise whatever they like
        raise Unconvertible(f"{ours}, nor has skl2onnx one ({' '.join(str(fault).split())[:200]})") from fault
    outputs = [each.name for each in made.graph.output]
    methods = dict(zip(["predict", "predict_proba"], outputs))
    return made, dict(reversed(list(methods.items()))) if hasattr(model, "predict_proba") else {"predict": outputs[0]}

"""Trees as batch evaluates them give the bytes of ONNX Runtime: on thresholds and beside them, for NaN, infinities and numbers that float32 does not have."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pytest
import xgboost
from fairlead_scoring.batch.forests import Evaluation, Unfit, evaluator, tables
from fairlead_scoring.batch.forests.nodes import Nodes
from fairlead_scoring.batch.forests.onnx_file import cut
from onnx import ModelProto, TensorProto, helper
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fairlead.flavors.prover.forest import Forest, Tree, tree_node
from fairlead.flavors.prover.graph import convert, note
from fairlead.flavors.prover.proof import _forests
from fairlead.flavors.prover.rows import generated

from .conftest import Serve

CANCER = load_breast_cancer(return_X_y=True)
WITH_NULLS = (np.where(np.random.default_rng(0).random(CANCER[0].shape) < 0.1, np.nan, CANCER[0]), CANCER[1])
IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
FIVE = make_classification(600, 20, n_informative=10, n_classes=5, random_state=0)
GAPS = np.where(np.random.default_rng(2).random(DIABETES[0].shape) < 0.3, np.nan, DIABETES[0])
PARTED = (GAPS, DIABETES[1] + 1000 * np.isnan(GAPS[:, 0]))
MODELS: dict[str, tuple[Any, Any]] = {
    "forest": (RandomForestClassifier(40, random_state=0), CANCER),
    "forest with nulls": (RandomForestClassifier(20, random_state=0), WITH_NULLS),
    "forest of five classes": (RandomForestClassifier(20, max_depth=5, random_state=0), FIVE),
    "forest of a regression": (RandomForestRegressor(30, max_leaf_nodes=60, random_state=0), DIABETES),
    "extra trees": (ExtraTreesClassifier(20, max_leaf_nodes=50, random_state=0), CANCER),
    "extra trees of a regression": (ExtraTreesRegressor(20, max_depth=5, random_state=0), DIABETES),
    "scaled, nulls imputed": (make_pipeline(SimpleImputer(), StandardScaler(), RandomForestClassifier(20, random_state=0)), WITH_NULLS),
    "deep forest": (RandomForestClassifier(6, random_state=0), FIVE),
    "deep forest of a regression": (RandomForestRegressor(6, random_state=0), DIABETES),
    "deep histograms": (HistGradientBoostingRegressor(max_iter=8, max_leaf_nodes=100, min_samples_leaf=2), DIABETES),
    "deep lightgbm": (lightgbm.LGBMClassifier(n_estimators=4, num_leaves=100, min_child_samples=2, verbose=-1), FIVE),
    "deep xgboost with nulls": (xgboost.XGBRegressor(n_estimators=5, max_depth=12), (GAPS, DIABETES[1])),
    "tree": (DecisionTreeClassifier(max_depth=6, random_state=0), FIVE),
    "tree of a regression": (DecisionTreeRegressor(max_depth=4, random_state=0), DIABETES),
    "stumps": (GradientBoostingClassifier(n_estimators=30, max_depth=1), CANCER),
    "gradient boosting": (GradientBoostingRegressor(n_estimators=30), DIABETES),
    "gradient boosting of three classes": (GradientBoostingClassifier(n_estimators=10), IRIS),
    "histograms": (HistGradientBoostingClassifier(max_iter=20), WITH_NULLS),
    "histograms of a regression": (HistGradientBoostingRegressor(max_iter=20), DIABETES),
    "lightgbm": (lightgbm.LGBMClassifier(n_estimators=20, verbose=-1), WITH_NULLS),
    "lightgbm of five classes": (lightgbm.LGBMClassifier(n_estimators=8, verbose=-1), FIVE),
    "xgboost": (xgboost.XGBClassifier(n_estimators=20), WITH_NULLS),
    "xgboost of five classes": (xgboost.XGBClassifier(n_estimators=8), FIVE),
    "xgboost of a regression": (xgboost.XGBRegressor(n_estimators=20), DIABETES),
}
ODD = (np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -5e-324, 0.0, -0.0, 16777217.0)


def session_of(model: Any, path: Path) -> Any:
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def with_odd_cells(rows: Any) -> Any:
    random = np.random.default_rng(1)
    spots = random.random(rows.shape) < 0.05
    spots[: len(rows) // 2] = False
    return np.where(spots, random.choice(ODD, rows.shape), rows)


def assert_same_bytes(wanted: list[Any], got: list[Any]) -> None:
    for one, other in zip(wanted, got, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_they_give_the_bytes_of_onnx_runtime(tmp_path: Path, name: str) -> None:
    model, (rows, target) = MODELS[name]
    made, methods = convert(model.fit(rows, target), rows.shape[1])
    session = session_of(made, tmp_path / "model.onnx")
    asked, _ = generated(rows[:100], _forests(model), True, 3000, 0)
    asked = with_odd_cells(np.concatenate([rows, asked]))
    evaluation = Evaluation(session, str(tmp_path / "model.onnx"))
    outputs = list(methods.values())
    wanted = session.run(outputs, {"data": asked})
    for form in (asked, np.asfortranarray(asked)):
        assert_same_bytes(wanted, evaluation.run(outputs, {"data": form}))
    assert_same_bytes([each[:70] for each in wanted], evaluation.run(outputs, {"data": asked[:70]}))


def test_a_forest_answers_as_scikit_learn_does(tmp_path: Path) -> None:
    model = RandomForestClassifier(100, max_depth=5, random_state=0).fit(*CANCER)
    made, _ = convert(model, CANCER[0].shape[1])
    evaluation = Evaluation(session_of(made, tmp_path / "model.onnx"), str(tmp_path / "model.onnx"))
    [found] = evaluation.run(["predict_proba"], {"data": CANCER[0]})
    assert found.tobytes() == model.predict_proba(CANCER[0]).tobytes()


def random_tree(random: Any, leaves: int, features: int, outputs: int, dtype: str) -> Tree:
    """Grown at random leaves; its few thresholds are shared with other trees, and with the rows."""
    feature, left, right = [0], [-1], [-1]
    while left.count(-1) < leaves:
        node = int(random.choice([place for place, child in enumerate(left) if child < 0]))
        left[node], right[node] = len(left), len(left) + 1
        feature += [0, 0]
        left += [-1, -1]
        right += [-1, -1]
        feature[node] = int(random.integers(features))
    count = len(left)
    thresholds = random.integers(-3, 4, count) / 4
    values = random.normal(size=(count, outputs)).astype(dtype)
    return Tree(np.array(feature), thresholds.astype(dtype), np.array(left), np.array(right), random.integers(0, 2, count), values)


def walked(forest: Forest, row: Any) -> Any:
    """The sums as the definition has them, in the forest's own number type."""
    sums = np.zeros(forest.outputs, forest.sums_as)
    for tree in forest.trees:
        node = 0
        while tree.left[node] >= 0:
            value, edge = row[tree.feature[node]], tree.threshold[node]
            is_left = bool(tree.missing_left[node]) if np.isnan(value) else value <= edge if forest.compare == "<=" else value < edge
            node = (tree.left if is_left else tree.right)[node]
        for column, value in enumerate(tree.value[node]):
            sums[tree.target + column] += value
    return sums


def model_of(forest: Forest, features: int) -> ModelProto:
    kind = TensorProto.FLOAT if forest.sums_as == "float32" else TensorProto.DOUBLE
    nodes = [helper.make_node("Cast", ["data"], ["cast"], to=kind), tree_node(forest, "cast", "sums"), helper.make_node("Identity", ["sums"], ["answer"])]
    data = helper.make_tensor_value_info("data", TensorProto.DOUBLE, [None, features])
    graph = helper.make_graph(nodes, "g", [data], [helper.make_empty_tensor_value_info("answer")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)])
    made.ir_version = 10
    return made


@pytest.mark.parametrize("seed", range(40))
def test_trees_of_any_shape_give_what_a_walk_through_the_trees_gives(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(seed)
    if seed % 2:
        monkeypatch.setattr(tables, "MOST_BYTES", 2000)  # many small tables
    features, outputs, dtype = int(random.integers(1, 7)), int(random.integers(1, 4)), str(random.choice(["float32", "float64"]))
    most = int(random.choice([1, 3, 8, 16, 32, 64, 100]))
    trees = [random_tree(random, int(random.integers(1, most + 1)), features, outputs, dtype) for _ in range(int(random.integers(4, 25)))]
    trees += trees[:1]
    if outputs > 1 and seed % 3 == 0:  # one output for each tree
        for tree in trees:
            tree.target, tree.value = int(random.integers(outputs)), tree.value[:, :1]
    forest = Forest(trees, outputs, str(random.choice(["<=", "<"])), inputs_as=dtype, sums_as=dtype)
    rows = random.choice([*(np.arange(-4, 5) / 4), *ODD, 0.1], (300, features))
    session = session_of(model_of(forest, features), tmp_path / "model.onnx")
    [found] = Evaluation(session, str(tmp_path / "model.onnx")).run(["answer"], {"data": rows})
    with np.errstate(over="ignore", under="ignore"):
        wanted = np.array([walked(forest, row) for row in rows.astype(dtype)])
    assert found.tobytes() == wanted.tobytes()


def test_several_threads_share_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    made, _ = convert(RandomForestClassifier(10, random_state=0).fit(*CANCER), CANCER[0].shape[1])
    session = session_of(made, tmp_path / "model.onnx")
    rows = np.tile(CANCER[0], (30, 1))
    evaluation = Evaluation(session, str(tmp_path / "model.onnx"))
    assert_same_bytes(session.run(["predict_proba"], {"data": rows}), evaluation.run(["predict_proba"], {"data": rows}))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (DecisionTreeRegressor(random_state=0).fit(*DIABETES), "it has 1 trees, of more than 64 leaves"),
        (HistGradientBoostingRegressor(max_iter=5, max_leaf_nodes=100, min_samples_leaf=1).fit(*PARTED), "a split parts NaN from everything else"),
        (LogisticRegression(max_iter=10000).fit(*IRIS), "it has 0 nodes TreeEnsemble"),
    ],
)
def test_what_does_not_fit_is_left_to_onnx_runtime(tmp_path: Path, caplog: pytest.LogCaptureFixture, model: Any, reason: str) -> None:
    made, _ = convert(model, model.n_features_in_)
    session = session_of(made, tmp_path / "model.onnx")
    with caplog.at_level(logging.INFO):
        assert evaluator(session, str(tmp_path / "model.onnx")) == session.run
    [line] = [record.getMessage() for record in caplog.records]
    assert re.search(reason, line)


def test_trees_with_what_is_not_known_here_are_left_to_onnx_runtime(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = model_of(Forest([random_tree(np.random.default_rng(0), 5, 2, 1, "float32")], 1, sums_as="float32"), 2)
    made.graph.node[1].attribute.append(helper.make_attribute("nodes_hitrates", helper.make_tensor("", TensorProto.FLOAT, [4], [1.0] * 4)))
    session = session_of(made, tmp_path / "model.onnx")
    with caplog.at_level(logging.INFO):
        assert evaluator(session, str(tmp_path / "model.onnx")) == session.run
    assert "its trees are of a kind that is not known here" in caplog.text


DAMAGE: dict[str, tuple[str, int, int]] = {
    "a feature below the first": ("nodes_featureids", 0, -1),
    "a child that is its parent": ("nodes_truenodeids", 0, 0),
    "a child of another tree": ("nodes_truenodeids", 0, 10**6),
    "a leaf beyond the last": ("nodes_falsenodeids", -1, 10**6),
    "an output beyond the last": ("leaf_targetids", 0, 7),
    "a root that is no first split": ("tree_roots", 0, 1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_trees_that_lead_astray_are_not_compiled(damage: str) -> None:
    made, _ = convert(RandomForestClassifier(10, random_state=0).fit(*CANCER), CANCER[0].shape[1])
    parts = cut(made.SerializeToString())
    name, place, value = DAMAGE[damage]
    numbers = parts.trees[name].copy()
    numbers[place] = value
    Nodes(parts.trees, parts.is_rounded)
    with pytest.raises(Unfit):
        Nodes({**parts.trees, name: numbers}, parts.is_rounded)


def test_rows_without_a_column_that_the_trees_look_at_are_refused(tmp_path: Path) -> None:
    trees = [random_tree(np.random.default_rng(0), 20, 3, 1, "float32") for _ in range(4)]
    session = session_of(model_of(Forest(trees, 1, inputs_as="float32", sums_as="float32"), 3), tmp_path / "model.onnx")
    evaluation = Evaluation(session, str(tmp_path / "model.onnx"))
    evaluation._before = None
    with pytest.raises(ValueError, match="the trees look at 3 columns"):
        evaluation.run(["answer"], {"data": np.zeros((300, 2), np.float32)})


@pytest.mark.parametrize("broken", [None, "import"])
def test_without_llvmlite_onnx_runtime_does_it(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, broken: str | None) -> None:
    if broken:
        for name in [name for name in sys.modules if name.startswith("llvmlite")]:
            monkeypatch.delitem(sys.modules, name)
        (tmp_path / "llvmlite").mkdir()
        (tmp_path / "llvmlite" / "__init__.py").write_text("raise OSError('libllvmlite.so: cannot open shared object file')")
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.setitem(sys.modules, "llvmlite", None)
        monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    made, _ = convert(RandomForestClassifier(3, random_state=0).fit(*IRIS), 4)
    session = session_of(made, tmp_path / "model.onnx")
    with caplog.at_level(logging.INFO):
        assert evaluator(session, str(tmp_path / "model.onnx")) == session.run
    assert "ONNX Runtime evaluates the trees of model.onnx: llvmlite" in caplog.text


def compiled_model(path: Path) -> Path:
    made, methods = convert(RandomForestClassifier(10, random_state=0).fit(*IRIS), 4)
    schema = {"type": "object", "properties": {name: {"type": "array", "items": {}} for name in methods}}
    note(made, {"methods": methods, "nulls": True, "columns": None, "output": schema})
    path.write_bytes(made.SerializeToString())
    return path


def test_the_script_evaluates_tables_in_batch_only(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    path = compiled_model(tmp_path / "compiled.onnx")
    monkeypatch.setitem(sys.modules, "fairlead_scoring.batch.forests", None)  # whoever imports it fails
    served = serve(path)
    wanted = served.run(data=IRIS[0], method="predict_proba")["predict_proba"]
    with monkeypatch.context() as batch:
        batch.setenv("FAIRLEAD_BATCH", "1")
        with pytest.raises(ImportError):
            served.module.init()
        batch.delitem(sys.modules, "fairlead_scoring.batch.forests")
        served.module.init()
    assert isinstance(served.module.evaluate.__self__, Evaluation)
    found = served.run(data=np.tile(IRIS[0], (20, 1)), method="predict_proba")["predict_proba"]
    assert found.tobytes() == np.tile(wanted, (20, 1)).tobytes()

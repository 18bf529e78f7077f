from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from fairlead_scoring.schema import Mismatch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairlead.flavors import get

from .conftest import Serve

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]


class Halver(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, rows: Any, target: Any = None) -> Halver:
        return self

    def transform(self, rows: Any) -> Any:
        return rows / 2


def saved(folder: Path, model: Any) -> Path:
    path = folder / "model.joblib"
    joblib.dump(model, path)
    return path


def test_a_classifier_answers_as_azure_documented(tmp_path: Path, serve: Serve) -> None:
    model = LogisticRegression(max_iter=500).fit(IRIS, NAMES)
    served = serve(saved(tmp_path, model))
    assert served.methods == ["predict_proba", "predict", "decision_function", "predict_log_proba"]
    assert served.said["inputs"][1]["default"] == "predict_proba"
    assert served.said["defaults"]["v2"] == {"method": "predict"}
    assert list(served.run(IRIS[:3])["predict"]) == list(model.predict(IRIS[:3]))
    np.testing.assert_array_equal(served.run(IRIS[:3], "predict_proba")["predict_proba"], model.predict_proba(IRIS[:3]))
    assert served.said["output"]["type"]["schema"]["properties"]["predict"]["items"] == {"enum": ["setosa", "versicolor", "virginica"]}
    served.check(data=IRIS[:2].tolist(), method="predict")
    with pytest.raises(Mismatch, match="predict"):
        served.check(data=IRIS[:2].tolist(), method="score")
    with pytest.raises(Mismatch, match="null"):
        served.check(data=[[None, 1.0, 1.0, 1.0]])
    with pytest.raises(Mismatch, match="4"):
        served.check(data=[[1.0, 1.0, 1.0]])


def test_threads_of_a_forest_are_one_however_deep_it_sits(tmp_path: Path, serve: Serve) -> None:
    search = GridSearchCV(make_pipeline(StandardScaler(), RandomForestClassifier(5, n_jobs=-1, random_state=0)), {}, cv=2, n_jobs=2).fit(IRIS, SPECIES)
    served = serve(saved(tmp_path, search))
    assert served.module.model.best_estimator_[-1].n_jobs == 1
    np.testing.assert_array_equal(served.run(IRIS)["predict"], search.predict(IRIS))


@pytest.mark.parametrize(
    ("model", "nulls"),
    [
        (HistGradientBoostingClassifier(max_iter=3), True),
        (make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)), True),
        (make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=3)), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
    ],
)
def test_nulls_are_allowed_where_the_model_takes_them(tmp_path: Path, serve: Serve, model: Any, nulls: bool) -> None:
    served = serve(saved(tmp_path, model.fit(IRIS, SPECIES)))
    assert served.said["inputs"][0]["type"]["nulls"] is nulls
    if nulls:
        rows = IRIS[:2].copy()
        rows[0, 0] = np.nan
        np.testing.assert_array_equal(served.run(rows)["predict"], model.predict(rows))


def frame() -> pd.DataFrame:
    return pd.DataFrame({"age": [20.0, 31.0, None, 55.0], "city": ["Oslo", "Rome", "Rome", "Oslo"], "note": ["a", "b", "c", "d"], "size": [1, 2, 3, 4]})


def test_columns_and_categories_come_from_the_column_transformer(tmp_path: Path, serve: Serve) -> None:
    split = ColumnTransformer(
        [("n", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]), ("c", OneHotEncoder(), ["city"]), ("s", StandardScaler(), ["size"])]
    )
    model = make_pipeline(split, LogisticRegression()).fit(frame(), [0, 1, 1, 0])
    served = serve(saved(tmp_path, model))
    columns = {each["name"]: each for each in served.said["inputs"][0]["type"]["columns"]}
    assert (columns["age"]["dtype"], columns["age"]["nullable"]) == ("float64", True)
    assert columns["city"]["categories"] == ["Oslo", "Rome"]
    assert columns["note"]["dtype"] == "object"
    assert not columns["size"]["nullable"]
    with pytest.raises(Mismatch, match="Paris"):
        served.check(data=[{"age": 1.0, "city": "Paris", "note": "x", "size": 2}])
    np.testing.assert_array_equal(served.run(frame(), "predict_proba")["predict_proba"], model.predict_proba(frame()))


def test_an_encoder_that_ignores_the_unknown_does_not_bind_the_caller(tmp_path: Path, serve: Serve) -> None:
    split = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["city"])], remainder="drop")
    served = serve(saved(tmp_path, make_pipeline(split, LogisticRegression()).fit(frame(), [0, 1, 1, 0])))
    served.check(data=[{"age": None, "city": "Paris", "note": "x", "size": 2}])


def test_text_goes_in_as_a_list_of_strings(tmp_path: Path, serve: Serve) -> None:
    texts = ["good film", "bad film", "good book", "bad book"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    served = serve(saved(tmp_path, model))
    served.check(data=["good day"])
    assert list(served.run(np.array(texts, dtype=object))["predict"]) == list(model.predict(texts))


def test_clusters_outliers_sparse_and_several_outputs(tmp_path: Path, serve: Serve) -> None:
    target = np.stack([SPECIES == 0, SPECIES], axis=1).astype(int)
    model = MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(IRIS, target)
    served = serve(saved(tmp_path, model))
    rows = served.run(IRIS[:5], "predict_proba")["predict_proba"]
    assert [len(rows), *(len(each) for each in rows[0])] == [5, 2, 3]
    assert served.run(IRIS[:5])["predict"].shape == (5, 2)


@pytest.mark.parametrize("model", [KMeans(3, n_init=1), IsolationForest(n_estimators=5), LinearRegression()])
def test_models_without_probabilities_predict_by_default(tmp_path: Path, serve: Serve, model: Any) -> None:
    served = serve(saved(tmp_path, model.fit(IRIS, SPECIES)))
    assert served.said["inputs"][1]["default"] == "predict"
    np.testing.assert_allclose(served.run(IRIS)["predict"], model.predict(IRIS))


def test_a_sparse_transform_becomes_dense(tmp_path: Path, serve: Serve) -> None:
    model = OneHotEncoder(handle_unknown="ignore").fit(np.array([["a", 1], ["b", 2]], dtype=object))
    served = serve(saved(tmp_path, model))
    assert served.run(np.array([["a", 2]], dtype=object), "transform")["transform"].tolist() == [[1.0, 0.0, 0.0, 1.0]]


def test_what_cannot_score_says_so(tmp_path: Path, serve: Serve) -> None:
    with pytest.raises(TypeError, match=r"DBSCAN, which has none of .* Write a score\.py"):
        serve(saved(tmp_path, DBSCAN().fit(IRIS)))


@pytest.mark.parametrize("compress", [0, ("gzip", 3), ("lzma", 3)])
def test_joblib_compressed_or_not_and_plain_pickle(tmp_path: Path, serve: Serve, compress: Any) -> None:
    diabetes, target = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(diabetes, target)
    path = tmp_path / "model.pkl"
    if compress:
        joblib.dump(model, path, compress=compress)
    else:
        path.write_bytes(pickle.dumps(model))
    np.testing.assert_array_equal(serve(path).run(diabetes)["predict"], model.predict(diabetes))


def test_skops_files_of_scikit_learn_are_served(tmp_path: Path, serve: Serve) -> None:
    cancer, target = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(cancer, target)
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    np.testing.assert_array_equal(serve(path).run(cancer)["predict"], model.predict(cancer))


def test_what_skops_distrusts_is_named_and_can_be_trusted(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.skops"
    skops.io.dump(make_pipeline(Halver(), LogisticRegression(max_iter=500)).fit(IRIS, SPECIES), path)
    name = f"{Halver.__module__}.Halver"
    monkeypatch.setenv("FAIRLEAD_SKOPS_TRUSTED", "another.Name")
    with pytest.raises(TypeError, match=f"FAIRLEAD_SKOPS_TRUSTED={name}"):
        serve(path)
    monkeypatch.setenv("FAIRLEAD_SKOPS_TRUSTED", name)
    script: dict[str, Any] = {}
    exec(get("scikit-learn").score_py, script)
    script["init"]()
    assert len(script["run"](IRIS)["predict"]) == len(IRIS)

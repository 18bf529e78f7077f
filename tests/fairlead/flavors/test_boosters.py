from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from .conftest import Serve

CANCER, MALIGNANT = load_breast_cancer(return_X_y=True)
IRIS, SPECIES = load_iris(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)


def with_nulls(rows: Any) -> Any:
    rows = rows.copy()
    rows[::3, 0] = np.nan
    return rows


@pytest.mark.parametrize("ending", ["ubj", "json"])
@pytest.mark.parametrize(("rows", "target"), [(CANCER, MALIGNANT), (IRIS, SPECIES)], ids=["binary", "multiclass"])
def test_xgboost_classifiers_answer_as_xgbclassifier(tmp_path: Path, serve: Serve, rows: Any, target: Any, ending: str) -> None:
    model = xgboost.XGBClassifier(n_estimators=8, early_stopping_rounds=2).fit(rows[::2], target[::2], eval_set=[(rows[1::2], target[1::2])], verbose=False)
    path = tmp_path / f"model.{ending}"
    model.save_model(path)
    served = serve(path)
    rows = with_nulls(rows)
    np.testing.assert_array_equal(served.run(rows)["predict"], model.predict(rows))
    np.testing.assert_allclose(served.run(rows, "predict_proba")["predict_proba"], model.predict_proba(rows), rtol=1e-6)
    served.check(data=[[None] * rows.shape[1]])


@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
def test_xgboost_regression(tmp_path: Path, serve: Serve, booster: str) -> None:
    model = xgboost.XGBRegressor(n_estimators=5, booster=booster).fit(DIABETES, PROGRESS)
    model.save_model(tmp_path / "model.ubj")
    served = serve(tmp_path / "model.ubj")
    assert served.methods == ["predict"]
    np.testing.assert_allclose(served.run(DIABETES)["predict"], model.predict(DIABETES), rtol=1e-6)


def test_xgboost_softmax_has_probabilities_too(tmp_path: Path, serve: Serve) -> None:
    booster = xgboost.train({"objective": "multi:softmax", "num_class": 3}, xgboost.DMatrix(IRIS, SPECIES), 4)
    booster.save_model(tmp_path / "model.json")
    served = serve(tmp_path / "model.json")
    scores = served.run(IRIS, "predict_proba")["predict_proba"]
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(served.run(IRIS)["predict"], booster.predict(xgboost.DMatrix(IRIS)))


def test_xgboost_names_of_columns_make_a_table(tmp_path: Path, serve: Serve) -> None:
    table = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    model = xgboost.XGBClassifier(n_estimators=3).fit(table, SPECIES)
    model.save_model(tmp_path / "model.ubj")
    served = serve(tmp_path / "model.ubj")
    assert [each["name"] for each in served.said["inputs"][0]["type"]["columns"]] == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(served.run(table)["predict"], model.predict(table))


@pytest.mark.parametrize(("rows", "target"), [(CANCER, MALIGNANT), (IRIS, SPECIES)], ids=["binary", "multiclass"])
def test_lightgbm_classifiers_answer_as_lgbmclassifier(tmp_path: Path, serve: Serve, rows: Any, target: Any) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(rows, target)
    model.booster_.save_model(tmp_path / "model.txt")
    served = serve(tmp_path / "model.txt")
    rows = with_nulls(rows)
    np.testing.assert_array_equal(served.run(rows)["predict"], model.predict(rows))
    np.testing.assert_array_equal(served.run(rows, "predict_proba")["predict_proba"], model.predict_proba(rows))


def test_lightgbm_regression(tmp_path: Path, serve: Serve) -> None:
    model = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(DIABETES, PROGRESS)
    model.booster_.save_model(tmp_path / "model.lgb")
    np.testing.assert_array_equal(serve(tmp_path / "model.lgb").run(DIABETES)["predict"], model.predict(DIABETES))


def test_lightgbm_categories_of_pandas_keep_their_codes(tmp_path: Path, serve: Serve) -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"x": generator.normal(size=300), "city": pd.Categorical(generator.choice(["Oslo", "Rome", "Bonn"], 300))})
    target = (table["city"] == "Rome").astype(int) ^ (table["x"] > 0)
    model = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(table, target)
    model.booster_.save_model(tmp_path / "model.txt")
    served = serve(tmp_path / "model.txt")
    plain = table.assign(city=table["city"].astype(str))
    served.check(data=plain.head(2).to_dict("records"))
    np.testing.assert_array_equal(served.run(plain, "predict_proba")["predict_proba"], model.predict_proba(table))

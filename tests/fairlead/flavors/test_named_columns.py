"""A model that was fitted on a table takes tables, so what it needs has pandas; one fitted on arrays needs none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression

from fairlead import flavors

ROWS = np.random.default_rng(0).random((40, 3))
LABELS = (ROWS[:, 0] > 0.5).astype(int)


def joblib_file(data: Any, folder: Path) -> Path:
    joblib.dump(LogisticRegression().fit(data, LABELS), folder / "m.joblib", compress=3)
    return folder / "m.joblib"


def skops_file(data: Any, folder: Path) -> Path:
    skops.io.dump(LogisticRegression().fit(data, LABELS), folder / "m.skops")
    return folder / "m.skops"


def xgboost_file(data: Any, folder: Path, suffix: str = "ubj") -> Path:
    xgboost.XGBClassifier(n_estimators=2).fit(data, LABELS).save_model(folder / f"m.{suffix}")
    return folder / f"m.{suffix}"


def xgboost_json(data: Any, folder: Path) -> Path:
    return xgboost_file(data, folder, "json")


def lightgbm_file(data: Any, folder: Path) -> Path:
    lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(data, LABELS).booster_.save_model(folder / "m.txt")
    return folder / "m.txt"


@pytest.mark.parametrize("write", [joblib_file, skops_file, xgboost_file, xgboost_json, lightgbm_file])
def test_pandas_comes_with_named_columns(write: Any, tmp_path: Path) -> None:
    assert not any(line.startswith("pandas") for line in flavors.inspect(write(ROWS, tmp_path)).requirements)
    named = flavors.inspect(write(pd.DataFrame(ROWS, columns=["a", "b", "c"]), tmp_path)).requirements
    assert f"pandas=={pd.__version__}" in named

"""XGBoost and LightGBM models served from their own formats."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.examples.conftest import Follow


@pytest.mark.needs("xgboost")
def test_xgboost_takes_null_for_missing(follow: Follow) -> None:
    xgboost = pytest.importorskip("xgboost")

    read = follow("xgboost")
    rows = json.loads((read.folder / "out" / "rows.json").read_text())["data"]
    booster = xgboost.Booster(model_file=read.folder / "out" / "model.ubj")
    gaps = np.array(rows, dtype=float)
    assert np.isnan(gaps).sum() == 2
    (answer,) = read.answers()
    assert np.array(answer["predict_proba"])[:, 1] == pytest.approx(booster.predict(xgboost.DMatrix(gaps)), abs=1e-6)
    labels = read.service.post("/score", {"data": rows, "method": "predict"})
    assert labels.json() == {"predict": (booster.predict(xgboost.DMatrix(gaps)) > 0.5).astype(int).tolist()}


@pytest.mark.needs("lightgbm")
def test_lightgbm_takes_records(follow: Follow) -> None:
    lightgbm = pytest.importorskip("lightgbm")

    read = follow("lightgbm")
    patients = json.loads((read.folder / "out" / "patients.json").read_text())["data"]
    booster = lightgbm.Booster(model_file=read.folder / "out" / "model.txt")
    rows = np.array([[patient[name] for name in booster.feature_name()] for patient in patients])
    (answer,) = read.answers()
    assert answer["predict"] == pytest.approx(booster.predict(rows), rel=1e-12)
    turned = [dict(reversed(patient.items())) for patient in reversed(patients)]
    assert read.service.post("/score", {"data": turned}).json()["predict"] == pytest.approx(booster.predict(rows)[::-1], rel=1e-12)

"""Models of scikit-learn served from their files: rows of numbers, and tables with categories and gaps."""

from __future__ import annotations

import json

import joblib
import pandas as pd
import pytest

from tests.examples.conftest import Follow

REL, ABS = 1e-12, 1e-15  # one row and many take different paths through the linear algebra


def test_pipeline_of_numbers(follow: Follow) -> None:
    read = follow("scikit-learn")
    model = joblib.load(read.folder / "out" / "model.joblib")
    rows = json.loads((read.folder / "out" / "rows.json").read_text())["data"]
    (answer,) = read.answers()
    for chances, expected in zip(answer["predict_proba"], model.predict_proba(rows).tolist(), strict=True):
        assert chances == pytest.approx(expected, rel=REL, abs=ABS)
    labels = read.service.post("/score", {"data": rows, "method": "predict"})
    assert labels.json() == {"predict": model.predict(rows).tolist()}
    refused = read.service.post("/score", {"data": [rows[0], rows[1][:-1]]})
    assert (refused.status, refused.json()["errors"][0]["row"]) == (400, 1)


def test_table_with_categories(follow: Follow) -> None:
    read = follow("dataframe")
    model = joblib.load(read.folder / "out" / "model.joblib")
    customers = json.loads((read.folder / "out" / "customers.json").read_text())["data"]
    predicted, refusal = read.answers()
    assert predicted == {"predict": model.predict(pd.DataFrame(customers)).tolist()}
    assert refusal["errors"][0]["column"] == "plan"
    many = [{"plan": plan, "months": months, "monthly": 35.0} for plan in ("basic", "family", "business") for months in range(1, 60, 7)]
    reply = read.service.post("/score", {"data": many, "method": "predict_proba"})
    expected = model.predict_proba(pd.DataFrame(many)).tolist()
    assert len(reply.json()["predict_proba"]) == len(many)
    for chances, own in zip(reply.json()["predict_proba"], expected, strict=True):
        assert chances == pytest.approx(own, rel=REL, abs=ABS)

"""Churn of made-up customers, with text categories and gaps: out/model.joblib, and two customers in out/customers.json."""

import json
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

dice = np.random.default_rng(7)
customers = pd.DataFrame(
    {
        "plan": dice.choice(["basic", "family", "business"], 500),
        "months": dice.integers(1, 72, 500),
        "monthly": np.where(dice.random(500) < 0.1, np.nan, dice.normal(40, 10, 500).round(2)),
    }
)
leaves = np.where((customers["plan"] == "basic") & (customers["months"] < 24), "leaves", "stays")

columns = make_column_transformer((OneHotEncoder(sparse_output=False), ["plan"]), remainder="passthrough")
model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=30, random_state=0)).fit(customers, leaves)

out = Path("out")
out.mkdir(exist_ok=True)
joblib.dump(model, out / "model.joblib")
rows = [{"plan": "basic", "months": 3, "monthly": 31.5}, {"plan": "business", "months": 40, "monthly": None}]
(out / "customers.json").write_text(json.dumps({"data": rows, "method": "predict"}))

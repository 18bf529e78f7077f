"""Boosted trees on the breast-cancer data that ships with scikit-learn: out/model.ubj, and two rows with gaps in out/rows.json."""

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from xgboost import XGBClassifier

features, labels = load_breast_cancer(return_X_y=True)
model = XGBClassifier(n_estimators=30, max_depth=3, random_state=0).fit(features, labels)

out = Path("out")
out.mkdir(exist_ok=True)
model.save_model(out / "model.ubj")
rows = features[[0, 20]].astype(object)
rows[:, 3] = None  # a missing value is null in JSON
(out / "rows.json").write_text(json.dumps({"data": rows.tolist(), "method": "predict_proba"}))
assert np.isnan(rows.astype(float)).any()

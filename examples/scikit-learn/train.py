"""A pipeline on the breast-cancer data that ships with scikit-learn: out/model.joblib, and two held-out rows in out/rows.json."""

import json
from pathlib import Path

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

features, labels = load_breast_cancer(return_X_y=True)
known, held_out, known_labels, _ = train_test_split(features, labels, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(known, known_labels)

out = Path("out")
out.mkdir(exist_ok=True)
joblib.dump(model, out / "model.joblib")
(out / "rows.json").write_text(json.dumps({"data": held_out[:2].tolist()}))

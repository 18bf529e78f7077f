"""Two models of the wine data that ships with scikit-learn: the cultivar (out/cultivar.joblib) and the alcohol (out/alcohol.joblib)."""

import json
from pathlib import Path

import joblib
from sklearn.datasets import load_wine
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier

features, cultivars = load_wine(return_X_y=True)
out = Path("out")
out.mkdir(exist_ok=True)
joblib.dump(DecisionTreeClassifier(random_state=0).fit(features, cultivars), out / "cultivar.joblib")
joblib.dump(Ridge().fit(features[:, 1:], features[:, 0]), out / "alcohol.joblib")
(out / "wines.json").write_text(json.dumps({"data": features[[0, 100]].tolist()}))

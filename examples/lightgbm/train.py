"""Boosted trees on the diabetes data that ships with scikit-learn: out/model.txt, and two patients in out/patients.json."""

import json
from pathlib import Path

import lightgbm
from sklearn.datasets import load_diabetes

patients, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
settings = {"objective": "regression", "num_leaves": 7, "verbose": -1, "seed": 0, "num_threads": 1}
booster = lightgbm.train(settings, lightgbm.Dataset(patients, progression), num_boost_round=40)

out = Path("out")
out.mkdir(exist_ok=True)
booster.save_model(out / "model.txt")
(out / "patients.json").write_text(json.dumps({"data": patients.iloc[:2].to_dict(orient="records")}))

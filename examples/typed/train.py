"""A linear model of diabetes' progression on the data that ships with scikit-learn: out/model.joblib."""

from pathlib import Path

import joblib
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

patients, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
Path("out").mkdir(exist_ok=True)
joblib.dump(Ridge().fit(patients[["age", "bmi", "bp"]].to_numpy(), progression), "out/model.joblib")

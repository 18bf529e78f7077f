"""A linear model on the diabetes data that ships with scikit-learn: out/sklearn_regression_model.pkl."""

from pathlib import Path

import joblib
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

features, progression = load_diabetes(return_X_y=True)
Path("out").mkdir(exist_ok=True)
joblib.dump(Ridge(alpha=0.5).fit(features, progression), "out/sklearn_regression_model.pkl")

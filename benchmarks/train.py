# mypy: disable-error-code="import-not-found,import-untyped"
"""Trains the models of the benchmark, in the `models` environment: train.py OUTPUT_FOLDER COLUMNS...

Data like breast-cancer (30 columns, two classes) and, for growth.py, pipelines with more columns. Beside the models:
rows.json (rows to send) and labels.json (the models' own answers to them).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(folder: Path, columns_of_models: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    features, target = load_breast_cancer(return_X_y=True)
    models = {
        "lr": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "rf": RandomForestClassifier(n_estimators=100, random_state=0),
    }
    rows = features[::36][:16]
    labels = {}
    for name, model in models.items():
        model.fit(features, target)
        _write(folder / name / "model.joblib", model)
        labels[name] = model.predict(rows).tolist()
    (folder / "rows.json").write_text(json.dumps(rows.tolist()))
    (folder / "labels.json").write_text(json.dumps(labels))
    for columns in columns_of_models:
        wide, answer = make_classification(500, columns, n_informative=3, n_redundant=0, random_state=0)
        _write(folder / f"lr-{columns}" / "model.joblib", models["lr"].fit(wide, answer))


def _write(path: Path, model: object) -> None:
    path.parent.mkdir(exist_ok=True)
    joblib.dump(model, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(columns) for columns in sys.argv[2:]])

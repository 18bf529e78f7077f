"""A forest on the wine data that ships with scikit-learn, as ONNX: out/model.onnx, and two wines in out/wines.json."""

import json
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

features, labels = load_wine(return_X_y=True)
features = features.astype(np.float32)
forest = RandomForestClassifier(n_estimators=20, random_state=0).fit(features, labels)

out = Path("out")
out.mkdir(exist_ok=True)
graph = to_onnx(forest, features[:1], options={"zipmap": False})  # probabilities as an array, not as a list of dicts
(out / "model.onnx").write_bytes(graph.SerializeToString())
(out / "wines.json").write_text(json.dumps({"data": features[[0, 90]].astype(float).round(3).tolist()}))

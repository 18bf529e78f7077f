"""A network on the digits that ship with scikit-learn: out/model.joblib, and one image in out/image.json."""

import json
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

images, digits = load_digits(return_X_y=True)
out = Path("out")
out.mkdir(exist_ok=True)
joblib.dump(MLPClassifier((64,), max_iter=60, random_state=0).fit(images, digits), out / "model.joblib")
(out / "image.json").write_text(json.dumps({"images": images[:1].tolist()}))

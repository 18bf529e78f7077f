"""Trees of compiled models, as batch evaluates them, beside ONNX Runtime: python -m benchmarks.forests [--rows 100000] [--rounds 5]

CPU time of one thread for all rows, a model at a time, the two in turn; ratios within a round, the median is shown. Every answer's bytes are compared.
Models are trained on data that scikit-learn brings or makes, and scored on rows drawn around it, so that no two are alike.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import xgboost
from fairlead_scoring.batch.forests import Evaluation
from sklearn.datasets import load_breast_cancer, make_classification, make_regression
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier

from benchmarks import results
from fairlead.flavors.prover.graph import convert

CANCER = load_breast_cancer(return_X_y=True)
NOISY = make_classification(20_000, 30, n_informative=15, flip_y=0.1, random_state=0)
NUMBERS = make_regression(20_000, 30, n_informative=15, noise=10, random_state=0)
MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "RandomForest(100), breast cancer": lambda: (RandomForestClassifier(100, random_state=0), CANCER),
    "gradient boosting(100), depth 3": lambda: (GradientBoostingClassifier(random_state=0), CANCER),
    "histogram gradient boosting(100), 31 leaves": lambda: (HistGradientBoostingClassifier(random_state=0), NOISY),
    "LightGBM(100), 31 leaves": lambda: (lightgbm.LGBMRegressor(verbose=-1), NUMBERS),
    "XGBoost(100), depth 6": lambda: (xgboost.XGBRegressor(n_estimators=100), NUMBERS),
    "RandomForest(100), depth 8": lambda: (RandomForestClassifier(100, max_depth=8, random_state=0), NOISY),
    "RandomForest(100), 20,000 noisy rows": lambda: (RandomForestClassifier(100, random_state=0), NOISY),
}


def measure(name: str, rows: int, rounds: int, folder: Path) -> dict[str, Any]:
    model, (features, target) = MODELS[name]()
    made, methods = convert(model.fit(features, target), features.shape[1])
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    evaluation, outputs = Evaluation(session, str(path)), list(methods.values())[:1]
    dice = np.random.default_rng(0)
    asked = features[dice.integers(0, len(features), rows)] * dice.normal(1, 0.01, (rows, features.shape[1]))
    seen = list(_rounds(lambda: session.run(outputs, {"data": asked}), lambda: evaluation.run(outputs, {"data": asked}), rounds))
    theirs, ours = (statistics.median(each[side] for each in seen) * 1e6 / rows for side in (0, 1))
    ratio = statistics.median(one / other for one, other in seen)
    return {"model": name, "as": evaluation.kernel.said, "rows": rows, "onnxruntime_us": theirs, "fairlead_us": ours, "ratio": ratio}


def _rounds(theirs: Callable[[], Any], ours: Callable[[], Any], rounds: int) -> Iterator[tuple[float, float]]:
    for turn in range(-1, rounds):  # the first fills caches
        times = []
        answers = []
        for act in (theirs, ours):
            begun = time.process_time()
            answers.append(act())
            times.append(time.process_time() - begun)
        if any(one.tobytes() != other.tobytes() for one, other in zip(*answers, strict=True)):
            raise SystemExit("The answers differ.")
        if turn >= 0:
            yield times[0], times[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    records = []
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            records.append(measure(name, chosen.rows, chosen.rounds, Path(folder)))
        print(records[-1], flush=True)
    results.write("forests", records)


if __name__ == "__main__":
    main()

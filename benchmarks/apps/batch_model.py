# mypy: disable-error-code="import-not-found,import-untyped"
"""Makes what batch jobs are measured with: batch_model.py FOLDER ROWS FILES: lr.joblib, rf.joblib, and data-ROWS/*.parquet of 30 columns."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

GROUP = 1 << 17  # rows


def main(folder: Path, rows: int, files: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    features, target = load_breast_cancer(return_X_y=True)
    table = pd.DataFrame(features, columns=[f"c{number:02d}" for number in range(30)])
    for name, model in (("lr", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))), ("rf", RandomForestClassifier(100, random_state=0))):
        if not (folder / f"{name}.joblib").exists():
            joblib.dump(model.fit(table, target), folder / f"{name}.joblib")
    data = folder / f"data-{rows}"
    if (data / "_whole").exists():
        return
    data.mkdir(exist_ok=True)
    dice = np.random.default_rng(0)
    for number in range(files):
        _write(data / f"{number:03d}.parquet", rows // files, features, dice)
    (data / "_whole").touch()


def _write(path: Path, rows: int, features: np.ndarray, dice: np.random.Generator) -> None:
    """Rows of the data set, each number moved by a percent or so, so that no two are alike."""
    schema = pa.schema([(f"c{number:02d}", pa.float64()) for number in range(30)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP):
            count = min(GROUP, rows - start)
            block = features[dice.integers(0, len(features), count)] * dice.normal(1, 0.01, (count, 30))
            writer.write_table(pa.Table.from_arrays(list(block.T.copy()), schema=schema))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

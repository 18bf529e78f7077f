"""Trains a model on scikit-learn's breast cancer data, and writes these 569 rows again and again, 5 million by default, into parquet files in out/rows."""

import sys
from pathlib import Path

import joblib
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
FILES = 5
OUT = Path("out")

features, labels = load_breast_cancer(return_X_y=True, as_frame=True)
(OUT / "rows").mkdir(parents=True, exist_ok=True)
joblib.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels), OUT / "model.joblib")

once = pa.Table.from_pandas(features, preserve_index=False)
per_file = ROWS // FILES
for number in range(FILES):
    with pq.ParquetWriter(OUT / "rows" / f"{number}.parquet", once.schema.insert(0, pa.field("id", pa.int64()))) as writer:
        for start in range(0, per_file, 250_000):
            count = min(250_000, per_file - start)
            first = number * per_file + start
            ids = pa.array(range(first, first + count), pa.int64())
            rows = once.take(pa.array([row % once.num_rows for row in range(first, first + count)]))
            writer.write_table(rows.add_column(0, "id", ids))
print(f"{per_file * FILES:,} rows in {FILES} files, {sum(path.stat().st_size for path in (OUT / 'rows').iterdir()) >> 20} MiB")

# mypy: disable-error-code="import-not-found,import-untyped"
"""What a data scientist writes by hand: parquet → pandas → predict → parquet, a row group at a time. batch_chunks.py MODEL DATA OUT"""

import sys
import time
from pathlib import Path

import joblib
import pyarrow as pa
import pyarrow.parquet as pq

model = joblib.load(sys.argv[1])
begun = time.monotonic()
out = Path(sys.argv[3])
out.mkdir()
for path in sorted(Path(sys.argv[2]).glob("*.parquet")):
    with pq.ParquetWriter(out / path.name, pa.schema([("prediction", pa.int64())])) as writer:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1 << 17):
            writer.write_table(pa.table({"prediction": model.predict(batch.to_pandas())}))
print("seconds", time.monotonic() - begun)

# mypy: disable-error-code="import-not-found,import-untyped"
"""What no job can do without, each alone: reading and writing with both cores, predicting on memory with one. batch_bare.py MODEL DATA OUT"""

import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SAMPLED = 5  # row groups that are predicted; the rest costs as much

model = joblib.load(sys.argv[1])
out = Path(sys.argv[3])
out.mkdir()
rows = 0
begun = time.monotonic()
for path in sorted(Path(sys.argv[2]).glob("*.parquet")):
    with pq.ParquetWriter(out / path.name, pa.schema([("prediction", pa.int64())])) as writer:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1 << 17):
            writer.write_table(pa.table({"prediction": np.zeros(batch.num_rows, dtype=np.int64)}))
            rows += batch.num_rows
print("read_write", time.monotonic() - begun)
first = pq.ParquetFile(min(Path(sys.argv[2]).glob("*.parquet")))
frames = [first.read_row_group(number).to_pandas() for number in range(min(SAMPLED, first.num_row_groups))]
begun = time.process_time()
for frame in frames:
    model.predict(frame)
print("predict", (time.process_time() - begun) * rows / sum(map(len, frames)))

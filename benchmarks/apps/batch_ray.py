# mypy: disable-error-code="import-not-found,import-untyped"
"""Ray Data on two cores: read_parquet, map_batches with the model loaded once per actor, write_parquet. batch_ray.py MODEL DATA OUT"""

import sys
import time

import joblib
import ray


class Predictor:
    def __init__(self, name):  # type: ignore[no-untyped-def]
        self.model = joblib.load(name)

    def __call__(self, batch):  # type: ignore[no-untyped-def]
        return {"prediction": self.model.predict(batch)}


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
ray.data.DataContext.get_current().enable_progress_bars = False
begun = time.monotonic()
data = ray.data.read_parquet(sys.argv[2], file_extensions=["parquet"])
scored = data.map_batches(Predictor, fn_constructor_args=(sys.argv[1],), batch_format="pandas", batch_size=1 << 17, concurrency=2, num_cpus=0.5)
scored.write_parquet(sys.argv[3])
print("seconds", time.monotonic() - begun)

# mypy: disable-error-code="import-not-found,import-untyped"
"""Spark on two cores: mapInPandas with the model loaded once per task. batch_spark.py MODEL DATA OUT"""

import os
import sys
import time

import joblib
from pyspark.sql import SparkSession

os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
builder = SparkSession.builder.master("local[2]").config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
builder = builder.config("spark.ui.enabled", "false").config("spark.driver.memory", "2g").config("spark.log.level", "ERROR")
spark = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(1 << 17)).getOrCreate()
name = sys.argv[1]


def predict(batches):  # type: ignore[no-untyped-def]
    model = joblib.load(name)
    for batch in batches:
        yield batch[[]].assign(prediction=model.predict(batch))


begun = time.monotonic()
spark.read.parquet(sys.argv[2]).mapInPandas(predict, "prediction long").write.parquet(sys.argv[3])
print("seconds", time.monotonic() - begun)
spark.stop()

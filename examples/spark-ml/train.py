"""A Spark ML pipeline on the wines that ship with scikit-learn: out/wines, two of them in out/rows.json, and Spark's own answers in out/expected.json."""

import json
import os
import sys

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import StringIndexer, VectorAssembler
from pyspark.sql import SparkSession
from sklearn.datasets import load_wine

os.environ["PYSPARK_PYTHON"] = sys.executable
builder = SparkSession.builder.master("local[1]").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
spark = builder.config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "1").getOrCreate()

wines = load_wine(as_frame=True).frame
wines = wines[["alcohol", "malic_acid", "hue", "target"]].assign(colour=["pale" if intensity < 4 else "deep" for intensity in wines["color_intensity"]])
rows = wines.to_dict("records")
table = spark.createDataFrame(rows)

indexer = StringIndexer(inputCol="colour", outputCol="colour_number", handleInvalid="keep")
assembler = VectorAssembler(inputCols=["alcohol", "malic_acid", "hue", "colour_number"], outputCol="features")
model = Pipeline(stages=[indexer, assembler, LogisticRegression(labelCol="target", maxIter=20)]).fit(table)

os.makedirs("out", exist_ok=True)
model.write().overwrite().save("out/wines")
two = [{name: row[name] for name in ("alcohol", "malic_acid", "hue", "colour")} for row in (rows[0], rows[150])]
answers = model.transform(spark.createDataFrame(two)).collect()
with open("out/rows.json", "w") as file:
    json.dump({"data": two}, file)
with open("out/expected.json", "w") as file:
    json.dump({"prediction": [row.prediction for row in answers], "probability": [row.probability.tolist() for row in answers]}, file)
spark.stop()

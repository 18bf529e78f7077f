# As for `az ml service create realtime -r spark-py`: the script starts Spark and loads the pipeline itself.
import json
import os

from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession


def init():
    global spark, model
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    model = PipelineModel.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "wines"))


def run(raw_data):
    wines = spark.createDataFrame(json.loads(raw_data)["data"])
    return [row.prediction for row in model.transform(wines).select("prediction").collect()]

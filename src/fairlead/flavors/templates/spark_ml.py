"""Scores a Spark ML pipeline (a folder that PipelineModel.save wrote). Written by Fairlead; yours to change.

{"data": [{"age": 40, ...}, ...]} answers one list per column that the pipeline makes for its caller: {"prediction": [...], "probability": [[...], ...]}.
Each worker has a Spark of its own, with one core, that listens on loopback only: some 500 MB and tenths of a second for a request, however few its rows.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

import fairlead_scoring
from fairlead_scoring.schema import Column, Field, Signature, Table, Value

OPTIONS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # a request is too short for more
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}
TAKES_NUMBERS = ("VectorAssembler", "Imputer", "ImputerModel", "Bucketizer", "QuantileDiscretizer", "Binarizer", "OneHotEncoderModel")
TAKES_TEXT = ("Tokenizer", "RegexTokenizer", "StringIndexerModel")
FILLS = ("ImputerModel", "Imputer")

spark: Any = None
model: Any = None
columns: Dict[str, str] = {}  # what the pipeline reads -> dtype
nullable: List[str] = []
answers: List[str] = []


def init() -> None:
    global spark, model, answers
    spark = started()
    from pyspark.ml import PipelineModel

    model = PipelineModel.load(str(pipeline_folder()))
    look_at(flat(model))
    answers = made_for_the_caller(flat(model))
    if not answers:
        raise TypeError("No stage of the pipeline makes a column that is not used up by a later one. Write a score.py for it.")


@fairlead_scoring.typed
def run(data: Any) -> Dict[str, Any]:
    made = model.transform(table_of(data))
    result = made.select(*(cell(made, name) for name in answers))
    rows = columns_of(result)
    if any(len(values) != len(data) for values in rows.values()):
        said = "A stage of the pipeline left rows out (handleInvalid='skip', or a filter): {} went in. Save it with handleInvalid='keep' or 'error'."
        raise ValueError(said.format(len(data)))
    return rows


def describe() -> Dict[str, Any]:
    if not columns:
        rows = Field("data", Value({"type": "array", "items": {"type": "object"}}))
        return {**Signature((rows,), Field("output", Value({"type": "object"}))).to_json(), "sample": None, "platform": "spark", "defaults": {}}
    table = Table(tuple(Column(name, dtype, nullable=name in nullable) for name, dtype in columns.items()))
    row = {name: "" if dtype == "str" else 0.0 for name, dtype in columns.items() if dtype in ("str", "float64")}
    answer = {"type": "object", "properties": {name: {"type": "array", "items": {}} for name in answers}, "additionalProperties": False}
    said = Signature((Field("data", table),), Field("output", Value(answer))).to_json()
    return {**said, "sample": None if unseen_refused(flat(model)) else {"data": [row]}, "platform": "spark", "defaults": {}}


# Spark


def started() -> Any:
    """A session in this process. Python workers, which stages written in Python have, run under this interpreter."""
    home = os.environ.get("JAVA_HOME", "")
    if shutil.which("java", path=os.path.join(home, "bin") if home else None) is None:
        where = f"JAVA_HOME is {home}, where no bin/java is" if home else "no java is on the PATH, and JAVA_HOME is not set"
        raise RuntimeError(f"Spark needs Java 17, and {where}. Install it (Debian: openjdk-17-jre-headless), or set JAVA_HOME.")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # else it looks for an address of this machine, and says so
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").appName("fairlead")
    for name, value in {**OPTIONS, "spark.sql.warehouse.dir": tempfile.gettempdir()}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def pipeline_folder() -> Path:
    top = Path(os.environ["AZUREML_MODEL_DIR"])
    found = [Path(place) for place, folders, _ in os.walk(str(top), followlinks=True) if {"metadata", "stages"} <= set(folders)]
    if not found:
        raise FileNotFoundError("A folder with metadata and stages is needed in AZUREML_MODEL_DIR, there is none. Bundle what PipelineModel.save wrote.")
    return min(found, key=lambda folder: len(folder.parts))


def table_of(data: Any) -> Any:
    """The columns that the pipeline reads, with their types, so that a column of nulls has one too."""
    import pandas

    frame = data if isinstance(data, pandas.DataFrame) else pandas.DataFrame(data)
    if not columns:
        return spark.createDataFrame(frame)
    import pyarrow

    kinds = {"float64": pyarrow.float64(), "str": pyarrow.string()}
    arrays = {name: pyarrow.Array.from_pandas(frame[name], type=kinds.get(dtype)) for name, dtype in columns.items()}
    table = pyarrow.table(arrays)
    try:
        return spark.createDataFrame(table)
    except TypeError:  # Spark before 4
        return spark.createDataFrame(table.to_pandas())


def cell(made: Any, name: str) -> Any:
    """Vectors become lists."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql.functions import col

    quoted = "`{}`".format(name.replace("`", "``"))
    return vector_to_array(col(quoted)).alias(name) if made.schema[name].dataType.typeName() == "vectorudt" else col(quoted)


def columns_of(result: Any) -> Dict[str, Any]:
    if hasattr(result, "toArrow"):
        return {str(name): values.to_pylist() for name, values in zip(result.columns, result.toArrow().columns)}
    rows = result.collect()
    return {name: [row[place] for row in rows] for place, name in enumerate(result.columns)}


# What the pipeline takes and makes


def flat(pipeline: Any) -> List[Any]:
    """The stages, those of pipelines inside it too."""
    out: List[Any] = []
    for stage in pipeline.stages:
        out += flat(stage) if hasattr(stage, "stages") else [stage]
    return out


def said(stage: Any, *names: str) -> List[str]:
    """The columns that these parameters name."""
    found: List[str] = []
    for name in names:
        value = stage.getOrDefault(name) if stage.hasParam(name) and stage.isDefined(name) else None
        found += [value] if isinstance(value, str) else list(value or ())
    return [name for name in found if name]


def reads(stage: Any) -> List[str]:
    return said(stage, "inputCols") or said(stage, "inputCol") or said(stage, "featuresCol", "itemsCol", "userCol", "itemCol")


def makes(stage: Any) -> List[str]:
    if reads(stage) and (said(stage, "inputCols") or said(stage, "inputCol")):
        return said(stage, "outputCols") or said(stage, "outputCol")
    return said(stage, "predictionCol", "probabilityCol", "rawPredictionCol", "topicDistributionCol", "leafCol")


def look_at(stages: List[Any]) -> None:
    """What no stage before has made is read from the data. A stage whose columns nobody can tell (SQL, a formula, one's own) leaves all open."""
    global columns, nullable
    columns, nullable = {}, []
    if not all(reads(stage) for stage in stages):
        return
    made: List[str] = []
    for stage in stages:
        fresh = [] if makes_label(stage, stages) else [name for name in reads(stage) if name not in made]
        for name in fresh:
            columns.setdefault(name, dtype_for(stage))
        if type(stage).__name__ in FILLS or said_invalid(stage) == "keep":
            nullable += fresh
        made += makes(stage)


def dtype_for(stage: Any) -> str:
    name = type(stage).__name__
    return "float64" if name in TAKES_NUMBERS else "str" if name in TAKES_TEXT else "object"


def said_invalid(stage: Any) -> str:
    return str(stage.getOrDefault("handleInvalid")) if stage.hasParam("handleInvalid") and stage.isDefined("handleInvalid") else ""


def unseen_refused(stages: List[Any]) -> bool:
    """Whether an example of zeros and empty texts would be refused."""
    return any(type(stage).__name__ == "StringIndexerModel" and said_invalid(stage) != "keep" for stage in stages) or "object" in columns.values()


def made_for_the_caller(stages: List[Any]) -> List[str]:
    """What the stages make and no later one reads; raw scores only where there are no probabilities."""
    used = {name for stage in stages for name in reads(stage)}
    kept: List[str] = []
    for stage in stages:
        raw = said(stage, "rawPredictionCol") if said(stage, "probabilityCol") else []
        inner = [] if makes_label(stage, stages) else makes(stage)
        kept += [name for name in inner if name not in used and name not in raw and name not in kept]
    return kept


def makes_label(stage: Any, stages: List[Any]) -> bool:
    """A label's numbers are made of the label, which a caller does not have; Spark leaves such a stage out."""
    return type(stage).__name__ == "StringIndexerModel" and bool(set(makes(stage)) & {name for each in stages for name in said(each, "labelCol")})

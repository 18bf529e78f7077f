"""Folders of Spark ML, told by their metadata: no Spark is started here. examples/spark-ml serves real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fairlead_scoring.formats import unsafe_files

from fairlead.flavors import UnknownModel, detect, get, inspect

PIPELINE = "org.apache.spark.ml.PipelineModel"


def stage(folder: Path, cls: str, *, version: str = "4.3.0", **parameters: object) -> Path:
    """As Spark writes it: one line of JSON in a part with a random name, and files of its own beside."""
    (folder / "metadata").mkdir(parents=True)
    said = {"class": cls, "timestamp": 1795939497247, "sparkVersion": version, "uid": folder.name, "paramMap": parameters}
    (folder / "metadata" / "part-00000-fcad3a9a-c000.txt").write_text(json.dumps(said, separators=(",", ":")) + "\n")
    (folder / "metadata" / "_SUCCESS").touch()
    (folder / "metadata" / ".part-00000-fcad3a9a-c000.txt.crc").write_bytes(b"crc\0")
    return folder


def pipeline(folder: Path, cls: str = PIPELINE, *, version: str = "4.3.0", **stages: dict[str, object]) -> Path:
    stage(folder, cls, version=version)
    for number, (name, said) in enumerate(stages.items()):
        stage(folder / "stages" / f"{number}_{name}", **said)  # type: ignore[arg-type]
    (folder / "stages").mkdir(exist_ok=True)
    return folder


def test_a_pipeline_is_told_by_what_is_in_the_folder(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "anything", lr={"cls": "org.apache.spark.ml.classification.LogisticRegressionModel"})
    assert detect(folder) is get("spark-ml")
    assert inspect(folder).unsafe == ()
    assert detect(pipeline(tmp_path / "python", "pyspark.ml.pipeline.PipelineModel")) is get("spark-ml")


@pytest.mark.parametrize(
    ("version", "lines"),
    [("4.0.1", {"pyspark==4.0.1"}), ("3.5.4", {"pyspark==3.5.4", "numpy<2", "pandas<3"})],
)
def test_its_environment_has_the_spark_that_wrote_it(tmp_path: Path, version: str, lines: set[str]) -> None:
    assert lines <= set(inspect(pipeline(tmp_path / "p", version=version)).requirements)


def test_a_vendors_version_is_on_no_index(tmp_path: Path) -> None:
    asked = inspect(pipeline(tmp_path / "p", version="3.5.1.5.4.20240101-1")).requirements
    assert not any("5.4.2024" in line for line in asked)
    assert any(line.startswith("pyspark") for line in asked)


def test_mlflow_s_folder_holds_one(tmp_path: Path) -> None:
    pipeline(tmp_path / "m" / "sparkml")
    (tmp_path / "m" / "MLmodel").write_text("flavors:\n  spark:\n    model_data: sparkml\n    pyspark_version: 4.3.0\n")
    assert inspect(tmp_path / "m").flavor is get("spark-ml")


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        ("org.apache.spark.ml.classification.LogisticRegressionModel", r"saved alone.*PipelineModel\(\[assembler, logisticRegressionModel\]\)"),
        ("org.apache.spark.ml.Pipeline", r"was not fitted. Save what its fit\(\) returns"),
    ],
)
def test_what_cannot_be_served_says_what_to_save(tmp_path: Path, cls: str, said: str) -> None:
    with pytest.raises(UnknownModel, match=said):
        inspect(stage(tmp_path / "model", cls))


def test_other_json_is_none(tmp_path: Path) -> None:
    for number, text in enumerate(("", "{", "[1]", '{"class": 1, "sparkVersion": "4"}', '{"class": "a.PipelineModel"}')):
        folder = tmp_path / str(number)
        (folder / "metadata").mkdir(parents=True)
        (folder / "stages").mkdir()
        (folder / "metadata" / "part-00000").write_text(text)
        assert detect(folder) is None


def test_stages_that_run_their_authors_code_are_named(tmp_path: Path) -> None:
    sql = "org.apache.spark.ml.feature.SQLTransformer"
    folder = pipeline(
        tmp_path / "p",
        ours={"cls": "my_company.stages.Winsorizer"},
        plain={"cls": sql, "statement": "SELECT *, a + b AS c FROM __THIS__"},
        calls={"cls": sql, "statement": "SELECT Reflect ('java.lang.System', 'getenv') FROM __THIS__"},
    )
    found = dict(unsafe_files(folder))
    assert [reason.split(" of the class ")[-1].split(",")[0] for path, reason in found.items() if "0_ours" in path] == ["my_company.stages.Winsorizer"]
    assert [path.split("/")[1] for path in found] == ["0_ours", "2_calls"]

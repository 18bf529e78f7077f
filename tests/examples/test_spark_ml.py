"""A Spark ML pipeline served from its folder, and by a script that starts Spark itself."""

from __future__ import annotations

import json

import pytest

from tests.examples.conftest import Follow


@pytest.mark.needs("pyspark", "java")
def test_a_pipeline_answers_as_spark_does(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")  # three short lives: compile little
    read = follow("spark-ml")
    expected = json.loads((read.folder / "out" / "expected.json").read_text())
    of_the_folder, of_the_script = read.answers()
    assert of_the_folder["prediction"] == expected["prediction"]
    for row, own in zip(of_the_folder["probability"], expected["probability"], strict=True):
        assert row == pytest.approx(own, rel=1e-12)
    assert of_the_script == expected["prediction"]

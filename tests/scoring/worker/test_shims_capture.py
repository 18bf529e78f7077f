"""The collectors of Azure ML: rows on disk when collection is on, nothing at all when it is off."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_scoring.worker.output import REQUEST_ID
from fairlead_scoring.worker.shims.collector import BasicCorrelationContext, Collector
from fairlead_scoring.worker.shims.model_data import ModelDataCollector

COLUMNS = ["$aml_dc_correlation_id", "$aml_dc_scoring_timestamp", "$aml_dc_boundary", "$aml_workspace", "$aml_service_name", "$aml_model_name",
           "$aml_model_version", "$aml_request_id"]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Collection is on, into this folder."""
    monkeypatch.setenv("AML_MODEL_DC_STORAGE_ENABLED", "true")
    monkeypatch.setenv("FAIRLEAD_CAPTURE_DIR", str(tmp_path))
    monkeypatch.setenv("SERVICE_NAME", "diabetes")
    return tmp_path


def rows(folder: Path, designation: str, file: str | None = None, model: str = "best") -> list[list[str]]:
    today = dt.datetime.now(dt.UTC).strftime("%Y/%m/%d")
    path = folder / f"modeldata/default/default/default/diabetes/{model}/3/{designation}/{today}/{file or designation}.csv"
    with path.open(newline="") as opened:
        return list(csv.reader(opened))


def collector(designation: str, **more: Any) -> ModelDataCollector:
    return ModelDataCollector("best", designation=designation, model_version=3, **more)


def test_inputs_get_correlations_and_predictions_join_them(folder: Path) -> None:
    REQUEST_ID.set("r-1")
    inputs, predictions = collector("inputs", feature_names=["age", "bmi"]), collector("predictions", feature_names=["score"])
    correlations = inputs.collect(np.array([[1.5, 2.0], [3.0, 4.0]]), "mine")
    assert correlations
    answered = predictions.add_correlations(np.array([[0.5], [0.25]]), correlations)
    assert predictions.collect(answered) is None
    REQUEST_ID.set("")
    header, *written = rows(folder, "inputs")
    assert header == ["age", "bmi", *COLUMNS]
    assert [row[:2] for row in written] == [["1.5", "2.0"], ["3.0", "4.0"]]
    assert re.fullmatch(r"mine-[0-9a-f-]{36}", written[0][2])
    assert written[0][4:] == ["1440", "default/default/default", "diabetes", "best", "3", "r-1"]
    header, *joined = rows(folder, "predictions")
    assert header == ["score", *COLUMNS]
    assert [row[0] for row in joined] == ["0.5", "0.25"]
    assert joined[0][1] == written[0][2]


@pytest.mark.parametrize(
    ("data", "lines"),
    [([1, "a,b"], [["1", "a,b"]]), ([[1, 2], [3, 4]], [["1", "2"], ["3", "4"]]), (np.array([1.0, 2.0]), [["1.0", "2.0"]]), ([np.array([1, 2])], [["1", "2"]])],
)
def test_lists_and_arrays(folder: Path, data: Any, lines: list[list[str]]) -> None:
    collector("labels").collect(data)
    assert rows(folder, "labels") == lines


def test_frames_bring_their_names(folder: Path) -> None:
    frame = pd.DataFrame({"age": [1, 2], "bmi": [None, 2.5]})
    correlations = collector("inputs").collect(frame)
    collector("inputs").collect(frame)
    header, *lines = rows(folder, "inputs")
    assert (header, len(lines), lines[0][:2]) == (["age", "bmi", *COLUMNS], 4, ["1", ""]), "one header, however many collectors append"
    assert list(collector("predictions").add_correlations(frame, correlations).columns) == ["age", "bmi", *COLUMNS]
    assert list(frame.columns) == ["age", "bmi"], "the script's own frame is untouched"


def test_general_and_signals_are_named_by_their_collection(folder: Path) -> None:
    collector("default", collection_name="extra").collect([1])
    collector("signals", identifier="old name/../x").collect([2])
    assert rows(folder, "general", "extra") == [["1"]]
    assert rows(folder, "signals", "old_name_.._x") == [["2"]]
    ModelDataCollector("../../up", model_version=3).collect([3])
    assert rows(folder, "general", "default", model="_.._up") == [["3"]]


@pytest.mark.usefixtures("folder")
def test_an_hour_is_a_boundary(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("AML_MODEL_DC_BOUNDARY", "hour")
    collector("labels").collect([1])
    (path,) = folder.rglob("labels.csv")
    assert re.search(r"/\d{4}/\d\d/\d\d/\d\d/labels\.csv$", str(path))


def test_off_keeps_nothing_and_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FAIRLEAD_CAPTURE_DIR", str(tmp_path))
    inputs = collector("inputs")
    correlations = inputs.collect([1])
    assert correlations is None
    assert inputs.add_correlations([1], correlations) == [1]
    assert Collector(name="x").collect(pd.DataFrame({"a": [1]})) is not None
    assert (list(tmp_path.rglob("*")), capsys.readouterr().out) == ([], "")


def test_debug_prints_the_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AML_MODEL_DC_DEBUG", "true")
    collector("labels", feature_names=["y"]).collect([[1], [2]])
    assert capsys.readouterr().out == "y\n1\n2\n"


def test_on_without_a_folder_warns(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("AML_MODEL_DC_STORAGE_ENABLED", "true")
    assert collector("inputs").collect([1]) is None
    assert "FAIRLEAD_CAPTURE_DIR names no folder" in caplog.text


def test_a_full_disk_never_fails_a_request(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "modeldata").write_text("a file where the folder should be")
    assert collector("inputs").collect([1])
    assert "lost rows of 'best'" in caplog.text


def test_an_unknown_designation_is_refused() -> None:
    with pytest.raises(ValueError, match="'outputs' is none of inputs, predictions"):
        collector("outputs")


def test_the_newer_collector_writes_events(folder: Path) -> None:
    inputs, outputs = Collector(name="model_inputs"), Collector(name="model_outputs", on_error=print)
    context = inputs.collect(pd.DataFrame({"age": [1, 2]}))
    assert outputs.collect(pd.DataFrame({"score": [0.5]}), context) is context
    written = {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in folder.rglob("*.jsonl")}
    (first,), (second,) = written["model_inputs"], written["model_outputs"]
    assert (first["data"], second["data"]) == ([{"age": 1}, {"age": 2}], [{"score": 0.5}])
    assert first["correlationid"] == second["correlationid"] == str(context)


@pytest.mark.usefixtures("folder")
def test_the_newer_collector_takes_frames_only() -> None:
    faults: list[Exception] = []
    Collector(name="x", on_error=faults.append).collect([1], BasicCorrelationContext("7"))
    assert "data type (list) not supported" in str(faults[0])
    with pytest.raises(TypeError, match="pandas"):
        Collector(name="x").collect([1])

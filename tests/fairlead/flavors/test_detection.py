from __future__ import annotations

import gzip
import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
import xgboost
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from fairlead.flavors import UnknownModel, detect, get, inspect, installed, pickled, unsafe

IRIS, SPECIES = load_iris(return_X_y=True)


def old_pickle(version: str) -> bytes:
    """As scikit-learn of then wrote it: protocol 3, module paths of the time."""
    key, value = b"_sklearn_version", version.encode()
    text = b"X" + struct.pack("<I", len(key)) + key + b"q\x02X" + struct.pack("<I", len(value)) + value + b"q\x03"
    return b"\x80\x03csklearn.linear_model.logistic\nLogisticRegression\nq\x00)\x81q\x01}" + text + b"sb."


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, (os.environ["HARM"],)


def test_looking_at_a_model_runs_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harm = tmp_path / "harm"
    monkeypatch.setenv("HARM", str(harm))
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Harmful()))
    found = inspect(path)
    assert not harm.exists()
    assert found.flavor.name == "scikit-learn"
    assert found.unsafe[0][0] == "model.pkl"
    assert "posix" in str(unsafe.notice(found.unsafe))
    assert "unsafe_formats" in unsafe.refusal(found.unsafe)


def test_requirements_come_from_the_pickle_and_are_pinned(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    joblib.dump(xgboost.XGBClassifier(n_estimators=2).fit(IRIS, SPECIES), path)
    found = inspect(path)
    names = {line.split("==")[0] for line in found.requirements}
    assert {"scikit-learn", "numpy", "joblib"} < names
    assert names & {"xgboost", "xgboost-cpu"}
    assert all("==" in line for line in found.requirements)


def test_a_model_that_was_trained_on_a_data_frame_needs_pandas(tmp_path: Path) -> None:
    table = load_iris(as_frame=True)
    named, plain = tmp_path / "named.joblib", tmp_path / "plain.joblib"
    joblib.dump(LogisticRegression(max_iter=500).fit(table.data, table.target), named, compress=3)
    joblib.dump(LogisticRegression(max_iter=500).fit(IRIS, SPECIES), plain, compress=3)
    skops.io.dump(LogisticRegression(max_iter=500).fit(table.data, table.target), tmp_path / "named.skops")
    assert any(line.startswith("pandas==") for line in inspect(named).requirements)
    assert any(line.startswith("pandas==") for line in inspect(tmp_path / "named.skops").requirements)
    assert not any(line.startswith("pandas") for line in inspect(plain).requirements)


def test_scikit_learn_is_pinned_to_the_version_that_wrote_the_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    written = pickle.dumps(LogisticRegression(max_iter=500).fit(IRIS, SPECIES))
    version = installed.versions(["scikit-learn"], None)[1]["scikit-learn"].encode()
    path.write_bytes(written.replace(version, b"9" * len(version.split(b".")[0]) + version[len(version.split(b".")[0]) :]))
    assert any(line.startswith("scikit-learn==9") for line in inspect(path).requirements)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.22.1", "Serve it with --environment, a Python 3.8 that has scikit-learn 0.22.1"),
        ("0.24.2", "a Python 3.8 to 3.9"),
        ("0.20.3", "needs Python 3.8 or later, so load it there and save it as ONNX"),
    ],
)
def test_an_old_pickle_says_which_python_or_how_to_export(tmp_path: Path, version: str, said: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(old_pickle(version))
    found = inspect(path)
    assert f"scikit-learn=={version}" in found.requirements
    assert said in found.notes[0]
    read = pickled.read(path)
    assert read is not None
    assert pickled.advice(read, "model.pkl", (3, 7)) is None


def test_a_compressed_old_pickle_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl.gz"
    path.write_bytes(gzip.compress(old_pickle("0.23.2")))
    assert "scikit-learn==0.23.2" in inspect(path).requirements


def test_names_do_not_decide(tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(n_estimators=2).fit(IRIS, SPECIES)
    model.save_model(tmp_path / "m.json")
    (tmp_path / "m.json").rename(tmp_path / "m.txt")
    assert detect(tmp_path / "m.txt") is get("xgboost")
    (tmp_path / "onnx.onnx").write_bytes(b"hello world")
    assert detect(tmp_path / "onnx.onnx") is None
    (tmp_path / "data.json").write_text('{"learner": 1}')
    assert detect(tmp_path / "data.json") is None


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_text("a,b\n1,2\n"), r"is no model file that Fairlead knows: .*Write a score\.py"),
        (lambda path: path.mkdir(), "is no model folder"),
        (lambda path: path.write_bytes(b"binf" + bytes(600)), "old binary format"),
        (lambda path: np.save(path, np.zeros(3)), "is no model file|does not exist"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(tmp_path: Path, write: Callable[[Path], Any], said: str) -> None:
    write(tmp_path / "thing")
    with pytest.raises(UnknownModel, match=said):
        inspect(tmp_path / "thing")


def test_versions_of_another_interpreter_are_asked_there() -> None:
    version, found = installed.versions(["numpy", "no-such-distribution"], Path(sys.executable))
    assert version == sys.version_info[:2]
    assert found == {"numpy": np.__version__}


def test_an_unknown_flavor_is_named() -> None:
    with pytest.raises(UnknownModel, match="'prophet'; the flavors are mlflow"):
        get("prophet")

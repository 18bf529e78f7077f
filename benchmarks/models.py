"""The benchmark's models: where they are, the rows that are sent, and the labels that must come back."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

from benchmarks.peers import HERE, PEERS, python_of

ARTIFACTS = PEERS / "artifacts"
COLUMNS = (3, 10, 30, 100, 300, 1000)


def model_file(model: str) -> Path:
    """lr, rf, or lr-COLUMNS; trained on first use."""
    _trained()
    return ARTIFACTS / model / "model.joblib"


def rows() -> list[list[float]]:
    _trained()
    return [list(map(float, row)) for row in json.loads((ARTIFACTS / "rows.json").read_text())]


def labels(model: str) -> list[int]:
    """The model's own prediction for each of rows()."""
    _trained()
    return list(json.loads((ARTIFACTS / "labels.json").read_text())[model])


def mlflow_model(model: str) -> Path:
    """The same model as an MLflow model folder."""
    folder = ARTIFACTS / model / "mlflow"
    if not folder.exists():
        command = [python_of("mlflow"), HERE / "apps" / "mlflow_save.py", model_file(model), folder]
        subprocess.run([str(part) for part in command], check=True, cwd=ARTIFACTS)
    return folder


def compiled_bundle(model: str) -> Path:
    """Our bundle of the same model, compiled to ONNX by `fairlead bundle --compile onnx`."""
    folder = ARTIFACTS / model / "compiled"
    if not (folder / "bundle.json").exists():
        sample = ARTIFACTS / "sample.json"
        sample.write_text(json.dumps({"data": rows()[:1]}))
        command = [python_of("fairlead"), "-m", "fairlead", "bundle", model_file(model), "--compile", "onnx"]
        command += ["--sample", sample, "--name", f"{model}-compiled", "-o", folder]
        done = subprocess.run([str(part) for part in command], check=False, cwd=ARTIFACTS)
        if done.returncode:
            raise SystemExit(f"{model} could not be compiled (see above); leave `fairlead-compiled` out with --peers or --without-compiled.")
    return folder


@cache
def _trained() -> None:
    if not (ARTIFACTS / "lr-1000" / "model.joblib").exists():
        command = [str(python_of("models")), str(HERE / "train.py"), str(ARTIFACTS), *map(str, COLUMNS)]
        subprocess.run(command, check=True)

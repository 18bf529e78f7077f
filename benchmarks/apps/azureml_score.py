# mypy: disable-error-code="import-not-found,import-untyped"
"""The usual Azure ML script: init() loads, run() gets text."""

from __future__ import annotations

import json
import os
from typing import Any

import joblib
import numpy as np

model: Any = None


def init() -> None:
    global model
    model = joblib.load(os.environ["AZUREML_MODEL_DIR"] + "/model.joblib")


def run(raw_data: str) -> list[int]:
    data = np.array(json.loads(raw_data)["data"])
    answer: list[int] = model.predict(data).tolist()
    return answer

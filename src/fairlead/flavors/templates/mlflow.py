"""Scores an MLflow model folder that only MLflow can load (a python_function). Written by Fairlead; yours to change.

It runs whatever code the folder brings, so it is served only where unsafe formats are allowed. The signature of the folder is the schema.
"""

from __future__ import annotations

from typing import Any

import fairlead_scoring
import mlflow.pyfunc
from fairlead_scoring.artifact import model_folder

model: Any = None


def init() -> None:
    global model
    model = mlflow.pyfunc.load_model(str(model_folder("MLmodel")))


@fairlead_scoring.typed
@fairlead_scoring.batched(max_rows=256)
def run(data: Any) -> dict[str, Any]:
    result = model.predict(data)
    return {"predict": result.to_numpy() if hasattr(result, "to_numpy") else result}

# mypy: disable-error-code="import-not-found,import-untyped"
"""Writes an MLflow model folder: mlflow_save.py MODEL_FILE FOLDER"""

from __future__ import annotations

import sys

import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(joblib.load(sys.argv[1]), sys.argv[2], serialization_format="cloudpickle", pip_requirements=[])

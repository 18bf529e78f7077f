"""What Azure ML programs call the libraries that models are made with."""

from __future__ import annotations


class Framework:
    """Words for `model_framework`, as Azure ML programs write them: `Model.Framework.SCIKITLEARN`."""

    TENSORFLOW = "TensorFlow"
    SCIKITLEARN = "ScikitLearn"
    ONNX = "Onnx"
    PYTORCH = "PyTorch"
    XGBOOST = "XGBoost"
    LIGHTGBM = "LightGBM"
    MLFLOW = "MLflow"
    CUSTOM = "Custom"

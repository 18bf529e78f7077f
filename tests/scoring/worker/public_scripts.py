"""Scoring scripts in the style of the public ones, with their habits: what people bring along and expect to run unchanged."""

from __future__ import annotations

# The regression of Azure's documentation: Model.get_model_path, sklearn.externals.joblib, body key "data", .tolist(), errors as text with 200.
RIDGE = """
import json
import numpy as np
from sklearn.externals import joblib
from sklearn.linear_model import Ridge
from azureml.core.model import Model

def init():
    global model
    # note here "sklearn_regression_model.pkl" is the name of the model registered under
    # this is a different behavior than before when the code is run locally, even though the code is the same.
    model_path = Model.get_model_path('sklearn_regression_model.pkl')
    # deserialize the model file back into a sklearn model
    model = joblib.load(model_path)

# note you can pass in multiple rows for scoring
def run(raw_data):
    try:
        data = json.loads(raw_data)['data']
        data = np.array(data)
        result = model.predict(data)
        # you can return any datatype if it is JSON-serializable
        return result.tolist()
    except Exception as e:
        error = str(e)
        return error
"""

# A Keras digit recogniser: AZUREML_MODEL_DIR, a package called utils beside the script, print and logging, json.dumps of the answer.
DIGITS = """
import json
import logging
import os

import numpy as np
from utils.images import scale

def init():
    global model, labels
    model_root = os.getenv('AZUREML_MODEL_DIR')
    print('model root is', model_root)
    with open(os.path.join(model_root, 'model', 'model.json')) as f:
        model = np.array(json.load(f))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'labels.txt')) as f:
        labels = f.read().split()
    logging.info('Init complete')

def run(raw_data):
    data = np.array(json.loads(raw_data)['data'])
    print(f'{len(data)} images')
    logging.info('scoring %d images', len(data))
    logging.warning('no GPU')
    y_hat = np.argmax(scale(data) @ model, axis=1)
    return json.dumps({'labels': [labels[int(y)] for y in y_hat], 'config': open('settings.txt').read()})
"""
UTILS = "def scale(data): return data / 255.0\n"

# inference-schema with pandas in and numpy out, both collectors, and a service principal that is never used.
CHURN = """
import numpy as np
import pandas as pd
from azureml.core import Dataset, Run, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.monitoring import ModelDataCollector
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    global inputs_dc, prediction_dc
    inputs_dc = ModelDataCollector("churn", designation="inputs", feature_names=["tenure", "plan"])
    prediction_dc = ModelDataCollector("churn", designation="predictions", feature_names=["score"])
    Run.get_context().log("started", 1)

@input_schema('data', PandasParameterType(pd.DataFrame([{"tenure": 12, "plan": "basic"}])))
@input_schema('factor', StandardPythonParameterType(0.5))
@output_schema(NumpyParameterType(np.array([0.5])))
def run(data, factor):
    correlations = inputs_dc.collect(data)
    result = (data["tenure"] * factor).to_numpy()
    prediction_dc.collect(prediction_dc.add_correlations(result.reshape(-1, 1), correlations))
    return result.tolist()
"""

# Made by Azure's tools: a driver around the user's script, whose run() is called directly.
DRIVER = """
import importlib.util
import os

spec = importlib.util.spec_from_file_location("inner", os.path.join(os.path.dirname(__file__), "inner.py"))
driver_module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(driver_module)

def init():
    driver_module.init()
    driver_module.state.append("outer init")

def run(http_body, request_headers):
    raise RuntimeError("the driver's run() is skipped")
"""
INNER = """
state = []

def init():
    state.append("inner init")

def run(raw_data, request_headers):
    return [state, raw_data, request_headers["X-Caller"], type(request_headers).__name__]
"""

# Misbehaves as it is told.
MISBEHAVING = """
import os
import sys
import time

def init():
    pass

def run(data):
    if data == 'deep':
        return run(data)
    if data == 'exit':
        sys.exit(0)
    if data == 'die':
        os._exit(7)
    if data == 'sleep':
        time.sleep(30)
    if data == 'raise':
        raise ValueError('a secret')
    return data
"""

BOTH = """
from azureml.contrib.services.aml_request import rawhttp
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@rawhttp
@input_schema('a', StandardPythonParameterType(1))
def run(a):
    pass
"""

# Scripts that cannot be served, and words of the sentence that says why.
BROKEN = {
    "no run": ("def init(): pass\n", "does not define run()"),
    "no init": ("def run(data): pass\n", "does not define init()"),
    "star args": ("def init(): pass\ndef run(*args): pass\n", "*args"),
    "headers only": ("def init(): pass\ndef run(request_headers): pass\n", "takes no data"),
    "syntax": ("def init(: pass\n", "line 1"),
    "init raises": ("def init(): raise ValueError('no model today')\ndef run(data): pass\n", "no model today"),
    "init exits": ("import sys\ndef init(): sys.exit(0)\ndef run(data): pass\n", "sys.exit"),
    "import missing": ("import no_such_package\ndef init(): pass\ndef run(data): pass\n", "no_such_package"),
    "both decorators": (BOTH, "both @rawhttp and @input_schema"),
    "AutoML": ("import azureml.train.automl\ndef init(): pass\ndef run(data): pass\n", "pip install 'azureml-train-automl-runtime'"),
    "no such model": ("from azureml.core.model import Model\ndef init(): Model.get_model_path('churn')\ndef run(data): pass\n", "'churn' not found"),
    "live workspace": (
        "from azureml.core import Workspace\ndef init(): Workspace.from_config()\ndef run(data): pass\n",
        "Workspace.from_config needs Azure ML",
    ),
}

import os

import joblib
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.schema_decorators import input_schema, output_schema

sample_input = pd.DataFrame({"age": [59.0], "bmi": [32.1], "bp": [101.0]})
sample_output = np.array([150.5])


def init():
    global model
    model = joblib.load(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "model.joblib"))


@input_schema("data", PandasParameterType(sample_input))
@output_schema(NumpyParameterType(sample_output))
def run(data):
    return model.predict(data).tolist()

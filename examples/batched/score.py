import os

import joblib
import numpy as np
from fairlead_scoring import batched
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.joblib"))


@batched(max_rows=128)
@input_schema("images", NumpyParameterType(np.zeros((1, 64))))
def run(images):
    """Gets the rows of all requests that waited, and answers as many; each caller gets the answers to its own rows."""
    return model.predict(images)

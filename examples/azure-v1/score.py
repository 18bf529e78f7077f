import json

import numpy
from azureml.core.model import Model
from sklearn.externals import joblib


def init():
    global model
    model_path = Model.get_model_path("sklearn_regression_model")
    model = joblib.load(model_path)


def run(raw_data):
    try:
        data = json.loads(raw_data)["data"]
        data = numpy.array(data)
        result = model.predict(data)
        return json.dumps({"result": result.tolist()})
    except Exception as e:
        error = str(e)
        return json.dumps({"error": error})

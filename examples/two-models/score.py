import json
import os

import joblib
from azureml.core.model import Model


def init():
    global cultivar, alcohol
    cultivar = joblib.load(Model.get_model_path("cultivar"))
    # With several models AZUREML_MODEL_DIR is the folder above them: NAME/VERSION/FILE.
    alcohol = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "alcohol", "3", "alcohol.joblib"))


def run(raw_data):
    wines = json.loads(raw_data)["data"]
    others = [wine[1:] for wine in wines]
    return {"cultivar": cultivar.predict(wines).tolist(), "alcohol": alcohol.predict(others).tolist()}

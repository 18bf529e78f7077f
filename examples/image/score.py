import io
import os

import joblib
import numpy as np
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from PIL import Image


def init():
    global palette, colours
    palette = joblib.load(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "palette.joblib"))
    colours = palette.cluster_centers_.round().astype(np.uint8)


@rawhttp
def run(request: AMLRequest):
    if request.method == "GET":
        return {"colours": [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours]}
    if "image" not in request.files:
        return AMLResponse({"message": "Send the picture as the form field 'image'."}, 400, json_str=True)
    image = Image.open(request.files["image"].stream).convert("RGB")
    return AMLResponse(paint(image), 200, {"Content-Type": "image/png"})


def paint(image):
    pixels = np.asarray(image, dtype=float).reshape(-1, 3)
    painted = colours[palette.predict(pixels)].reshape(image.height, image.width, 3)
    png = io.BytesIO()
    Image.fromarray(painted).save(png, "PNG")
    return png.getvalue()

"""A batch script as ParallelRunStep runs it: `init()` once in each process, `run()` with the paths of a few files, one answer for each."""

import os

import joblib
import numpy as np
from PIL import Image


def init():
    global palette
    palette = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "palette.joblib"))


def run(mini_batch):
    answers = []
    for path in mini_batch:
        pixels = np.asarray(Image.open(path).convert("RGB"), dtype=float)[::4, ::4].reshape(-1, 3)
        most = np.bincount(palette.predict(pixels), minlength=8).argmax()
        red, green, blue = palette.cluster_centers_[most].round().astype(int)
        answers.append(f"{os.path.basename(path)}: #{red:02x}{green:02x}{blue:02x}")
    return answers

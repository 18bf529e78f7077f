"""Learns the eight colours of a photograph that ships with scikit-learn: out/palette.joblib; the photograph goes to out/flower.jpg."""

from pathlib import Path

import joblib
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image

photograph = Image.fromarray(load_sample_image("flower.jpg")).resize((160, 107))
out = Path("out")
out.mkdir(exist_ok=True)
photograph.save(out / "flower.jpg")
pixels = list(zip(*(band.tobytes() for band in photograph.split()), strict=True))
joblib.dump(KMeans(n_clusters=8, n_init=1, random_state=0).fit(pixels), out / "palette.joblib")

"""Cuts the two photographs that ship with scikit-learn into 60 small ones in out/images, and learns eight colours of one of them: out/palette.joblib."""

from pathlib import Path

import joblib
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_images

SIDE = 80
photographs = load_sample_images()
folder = Path("out/images")
folder.mkdir(parents=True, exist_ok=True)
for name, pixels in zip(photographs.filenames, photographs.images, strict=True):
    whole = Image.fromarray(pixels)
    for number in range(30):
        left, top = number % 6 * SIDE, number // 6 * SIDE
        whole.crop((left, top, left + SIDE, top + SIDE)).save(folder / f"{Path(name).stem}-{number:02}.png")
flower = photographs.images[1][::8, ::8].reshape(-1, 3)
joblib.dump(KMeans(n_clusters=8, n_init=1, random_state=0).fit(flower), "out/palette.joblib")
print(f"{len(list(folder.iterdir()))} pictures")

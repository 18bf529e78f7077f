"""Five million rows and a folder of pictures, scored as batch jobs; `compare.py` on the page looks at every row."""

from __future__ import annotations

import joblib
import numpy as np
from PIL import Image

from tests.examples.conftest import Follow


def test_the_page_runs_and_each_picture_has_its_line(follow: Follow) -> None:
    out = follow("batch").folder / "out"
    palette = joblib.load(out / "palette.joblib")
    lines = (out / "colours" / "colours.txt").read_text().splitlines()
    pictures = sorted((out / "images").iterdir())
    assert len(pictures) == 60
    for line, picture in zip(lines, pictures, strict=True):
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=float)[::4, ::4].reshape(-1, 3)
        colour = palette.cluster_centers_[np.bincount(palette.predict(pixels), minlength=8).argmax()].round().astype(int)
        assert line == f"{picture.name}: #{''.join(f'{each:02x}' for each in colour)}"

"""Pictures in, pictures out."""

from __future__ import annotations

import io

import joblib
import numpy as np
from PIL import Image

from tests.examples.conftest import Follow


def test_an_uploaded_picture_comes_back_as_png(follow: Follow) -> None:
    read = follow("image")
    palette = joblib.load(read.folder / "out" / "palette.joblib")
    colours = palette.cluster_centers_.round().astype(np.uint8)
    photograph = np.asarray(Image.open(read.folder / "out" / "flower.jpg"), dtype=float)
    own = colours[palette.predict(photograph.reshape(-1, 3))].reshape(photograph.shape)
    painted = Image.open(read.folder / "out" / "painted.png")
    assert painted.format == "PNG"
    assert np.array_equal(np.asarray(painted), own)
    told = read.answers()[-1]["colours"]
    assert told == [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist()]


def test_headers_and_refusals_are_the_scripts_own(follow: Follow) -> None:
    read = follow("image")
    picture = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(picture, "PNG")
    boundary = '--cut\r\nContent-Disposition: form-data; name="image"; filename="red.png"\r\nContent-Type: image/png\r\n\r\n'
    body = boundary.encode() + picture.getvalue() + b"\r\n--cut--\r\n"
    reply = read.service.post("/score", body, {"Content-Type": "multipart/form-data; boundary=cut"})
    assert (reply.status, reply.headers["content-type"], reply.body[:8]) == (200, "image/png", b"\x89PNG\r\n\x1a\n")
    refused = read.service.post("/score", "image=none", {"Content-Type": "application/x-www-form-urlencoded"})
    assert (refused.status, refused.json()) == (400, {"message": "Send the picture as the form field 'image'."})

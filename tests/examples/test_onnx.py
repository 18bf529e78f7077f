"""An ONNX model served from its file."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest

from tests.examples.conftest import Follow


def test_every_output_of_the_graph(follow: Follow) -> None:
    read = follow("onnx")
    session = onnxruntime.InferenceSession(str(read.folder / "out" / "model.onnx"))
    wines = json.loads((read.folder / "out" / "wines.json").read_text())["data"]
    labels, probabilities = session.run(None, {session.get_inputs()[0].name: np.array(wines, dtype="float32")})
    (answer,) = read.answers()
    assert answer["label"] == labels.tolist()
    assert np.array(answer["probabilities"]) == pytest.approx(probabilities, abs=1e-6)
    refused = read.service.post("/score", {"data": [wines[0][:-1]]})
    assert (refused.status, refused.json()["errors"][0]["row"]) == (400, 0)

"""TorchScript and exported programs served from their files."""

from __future__ import annotations

import json

import pytest

from tests.examples.conftest import Follow

pytestmark = pytest.mark.needs("torch")


def test_script_and_exported_program_answer_the_same(follow: Follow) -> None:
    torch = pytest.importorskip("torch")

    read = follow("pytorch")
    images = json.loads((read.folder / "out" / "images.json").read_text())["data"]
    network = torch.export.load(read.folder / "out" / "digits.pt2").module()
    with torch.inference_mode():
        own = network(torch.tensor(images)).tolist()
    for answer in read.answers():  # of the TorchScript file, then of the program
        for chances, expected in zip(answer["output"], own, strict=True):
            assert chances == pytest.approx(expected, abs=1e-6)
    assert len(read.answers()) == 2
    refused = read.service.post("/score", {"data": [images[0][:63]]})
    assert (refused.status, refused.json()["errors"][0]["row"]) == (400, 0)
    three = read.service.post("/score", {"data": [*images, images[0]]})
    assert three.json()["output"][2] == pytest.approx(own[0], abs=1e-6)

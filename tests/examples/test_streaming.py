"""Answers that arrive while the script is still thinking."""

from __future__ import annotations

import json
import random

from tests.examples.conftest import Follow


def test_words_arrive_one_by_one(follow: Follow) -> None:
    read = follow("streaming")
    chain = json.loads((read.folder / "out" / "chain.json").read_text())
    assert read.ran[1][1].strip() == " ".join(said(chain, "beautiful", 8))
    assert read.ran[2][1].split("\n\n")[:3] == [f"data: {word} " for word in said(chain, "simple", 3)]

    endless = read.service.connect()
    endless.request("POST", "/score", json.dumps({"start": "now", "words": 10**12}))
    response = endless.getresponse()
    assert response.headers["Transfer-Encoding"] == "chunked"
    expected = "".join(f"{word} " for word in said(chain, "now", 50)).encode()
    assert response.read(len(expected)) == expected
    response.close()
    endless.close()
    read.service.wait_log(" words said")  # twice before, for the page's own commands
    assert read.service.post("/score", {"start": "now", "words": 1}).body == b"now "


def said(chain: dict[str, list[str]], word: str, count: int) -> list[str]:
    """The model's own answer."""
    dice, words = random.Random(0), [word]
    while len(words) < count:
        words.append(dice.choice(chain[words[-1]]))
    return words

"""Answers are the same numbers whether the user's environment has orjson or not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fairlead_scoring.worker import json_text

THIRDS = np.arange(6, dtype="float32").reshape(2, 3) / 3


@pytest.mark.parametrize(
    "value",
    [
        THIRDS,
        THIRDS.astype("float16"),
        THIRDS.astype("float64"),
        np.asfortranarray(THIRDS),
        THIRDS[:, ::2],
        np.array(0.1, dtype="float32"),
        np.float32(0.1),
        np.zeros((0, 3), "float32"),
        np.array([np.nan, np.inf, 3.4e38, 1e-45], dtype="float32"),
        {"a": [np.float32(1 / 3)]},
    ],
    ids=repr,
)
def test_without_orjson_the_numbers_are_the_same(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = json.loads(json_text.dump(value))
    monkeypatch.setattr(json_text, "_orjson", lambda: None)
    assert json.loads(json_text.dump(value)) == fast

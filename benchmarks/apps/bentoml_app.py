# mypy: disable-error-code="import-not-found,import-untyped,misc,untyped-decorator"
"""BentoML: one service, one worker, access log off."""

from __future__ import annotations

import os
from typing import List  # noqa: UP035  # BentoML evaluates the annotations

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, traffic={"concurrency": 1024, "timeout": 60})
class Scorer:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    @bentoml.api(route="/score")
    def score(self, data: List[List[float]]) -> List[int]:  # noqa: UP006
        answer: List[int] = self.model.predict(np.array(data)).tolist()  # noqa: UP006
        return answer

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-untyped-def"
"""LitServe: litserve_app.py PORT [batch]"""

from __future__ import annotations

import os
import sys
from typing import Any

import joblib
import litserve
import numpy as np


class Scorer(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    def decode_request(self, request):  # no annotation, as in LitServe's own examples: it becomes FastAPI's
        return np.array(request["data"])

    def predict(self, x: Any) -> Any:
        return self.model.predict(x)

    def encode_response(self, output: Any) -> list[int]:
        answer: list[int] = output.tolist()
        return answer


class BatchedScorer(Scorer):
    def batch(self, inputs: list[Any]) -> tuple[Any, list[int]]:
        return np.concatenate(inputs), [len(rows) for rows in inputs]

    def predict(self, x: Any) -> Any:
        rows, counts = x
        return np.split(self.model.predict(rows), np.cumsum(counts)[:-1])

    def unbatch(self, output: Any) -> Any:
        return output


if __name__ == "__main__":
    batched = sys.argv[2:] == ["batch"]
    api = BatchedScorer(max_batch_size=64, batch_timeout=0.005) if batched else Scorer()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    quiet = {"log_level": "warning", "access_log": False}
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, **quiet)

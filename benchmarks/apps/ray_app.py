# mypy: disable-error-code="import-not-found,import-untyped,misc,untyped-decorator,attr-defined"
"""Ray Serve: one replica, access log off: ray_app.py PORT"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import joblib
import numpy as np
import ray
from ray import serve
from ray.serve.schema import LoggingConfig


@serve.deployment(num_replicas=1, max_ongoing_requests=1024)
class Scorer:
    def __init__(self, path: str) -> None:
        self.model = joblib.load(path)

    async def __call__(self, request: Any) -> list[int]:
        body = await request.json()
        answer: list[int] = self.model.predict(np.array(body["data"])).tolist()
        return answer


if __name__ == "__main__":
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000)
    quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config=quiet)
    serve.run(Scorer.bind(os.environ["BENCH_MODEL"]), route_prefix="/score", logging_config=quiet)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    serve.shutdown()
    ray.shutdown()

# mypy: disable-error-code="import-not-found,import-untyped,misc,untyped-decorator"
"""What a good data scientist writes by hand: FastAPI, a pydantic body, a plain `def`, which FastAPI runs in its thread pool."""

from __future__ import annotations

import os

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["BENCH_MODEL"])


class Rows(BaseModel):
    data: list[list[float]]


@app.post("/score")
def score(rows: Rows) -> list[int]:
    answer: list[int] = model.predict(np.array(rows.data)).tolist()
    return answer

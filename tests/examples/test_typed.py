"""Type hints and pydantic models as the schema."""

from __future__ import annotations

import joblib
import pytest

from tests.examples.conftest import Follow

PATIENTS = [{"age": 59, "bmi": 32.1, "bp": 101}, {"age": 48, "bmi": 21.6, "bp": 87}]


def test_models_are_checked_and_handed_over(follow: Follow) -> None:
    read = follow("typed")
    model = joblib.load(read.folder / "out" / "model.joblib")
    own = model.predict([[patient["age"], patient["bmi"], patient["bp"]] for patient in PATIENTS])
    answer, refusal = read.answers()
    assert answer["progression"] == pytest.approx(own, rel=1e-12)
    assert "120" in refusal["message"]
    assert "590" in refusal["message"]
    assert read.service.post("/score", {"patients": PATIENTS, "answer": "worst"}).json()["worst"] == pytest.approx(own.max(), rel=1e-12)
    for unfit in ({"patients": PATIENTS, "answer": "best"}, {"patients": [{**PATIENTS[0], "bp": None}]}, {"patients": [{"age": "59", "bmi": 1, "bp": 1}]}, {}):
        assert read.service.post("/score", unfit).status == 400, unfit
    shown = read.service.get("/swagger.json?version=3").text
    assert "mean arterial pressure, mmHg" in shown

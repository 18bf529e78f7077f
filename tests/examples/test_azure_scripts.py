"""Scripts as they were written for Azure ML, unchanged."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest

from tests.docs.reader import Reader
from tests.examples.conftest import Follow


def test_pandas_schema(follow: Follow) -> None:
    read = follow("azure-schema")
    model = joblib.load(read.folder / "out" / "model.joblib")
    patients = body_of(read, 0)["data"]
    answer, refusal = read.answers()
    assert answer == pytest.approx(model.predict(pd.DataFrame(patients)), rel=1e-12)
    assert "bp" in refusal["message"]
    assert read.service.post("/score", {"data": patients[:1]}).json() == pytest.approx(answer[:1], rel=1e-12)
    assert read.service.post("/score", body_of(read, 1)).status == 400
    swagger = read.service.get("/swagger.json").json()
    assert set(properties(swagger, "ServiceInput")["data"]["items"]["properties"]) == {"age", "bmi", "bp"}


def test_two_models(follow: Follow) -> None:
    read = follow("two-models")
    out = read.folder / "out"
    wines = json.loads((out / "wines.json").read_text())["data"]
    (answer,) = read.answers()
    assert answer["cultivar"] == joblib.load(out / "cultivar.joblib").predict(wines).tolist()
    assert answer["alcohol"] == pytest.approx(joblib.load(out / "alcohol.joblib").predict([wine[1:] for wine in wines]), rel=1e-12)


def test_first_generation_script(follow: Follow) -> None:
    assert not importlib.util.find_spec("azureml"), "This test proves nothing where the real azureml is installed."
    read = follow("azure-v1")
    model = joblib.load(read.folder / "out" / "sklearn_regression_model.pkl")
    (answer,) = read.answers()
    assert isinstance(answer, str), "json.dumps in the script, and once more on the way out"
    assert json.loads(answer)["result"] == pytest.approx(model.predict(body_of(read, 0)["data"]), rel=1e-12)
    unfit = read.service.post("/score", {"rows": []})
    assert (unfit.status, json.loads(unfit.json())) == (200, {"error": "'data'"})


def body_of(read: Reader, place: int) -> Any:
    """What the page's curl commands send with -d."""
    sent = [found for text, _ in read.ran for found in re.findall(r" -d '(.*)'$", text, re.MULTILINE)]
    return json.loads(sent[place])


def properties(swagger: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = swagger["definitions"][name]["properties"]
    return found


def test_scripts_are_as_people_have_them(repository: Path) -> None:
    """Nothing of Fairlead in a script that claims to be unchanged."""
    for name in ("azure-schema", "azure-v1", "two-models", "image"):
        assert "fairlead" not in (repository / "examples" / name / "score.py").read_text().lower()

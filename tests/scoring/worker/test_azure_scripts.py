"""Scripts written for Azure ML, unchanged, over HTTP: the rows of the habit and signature tables, and what happens when they misbehave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

from tests.live import Launcher, Service
from tests.scoring.worker import public_scripts as scripts

FAILED = {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}


class App:
    """A folder with score.py and what it needs; serve() starts it from there."""

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        self.folder, self._launcher = folder, launcher

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def serve(self, source: str, *flags: str, ready: bool = True, env: Mapping[str, str] | None = None) -> Service:
        self.write({"score.py": source})
        return self._launcher("--entry-script", self.folder / "score.py", *flags, cwd=self.folder, ready=ready, env=env)


@pytest.fixture
def app(serve: Launcher, tmp_path: Path) -> App:
    return App(tmp_path, serve)


def lines_of(service: Service, request_id: str) -> list[tuple[str, str]]:
    service.wait_log('"source":"request"')
    return [(record["level"], record["message"]) for record in service.records if record.get("request_id") == request_id and "message" in record]


@pytest.mark.parametrize("layout", ["azureml-models/sklearn_regression_model.pkl/1/model.pkl", "model dir"])
def test_the_documentations_ridge_script(app: App, layout: str) -> None:
    features, target = load_diabetes(return_X_y=True)
    model = Ridge(alpha=0.03).fit(features[:400], target[:400])
    path = app.folder / ("models/sklearn_regression_model.pkl" if layout == "model dir" else layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, path)
    service = app.serve(scripts.RIDGE, *(["--model-dir", "models"] if layout == "model dir" else []))
    reply = service.post("/score", {"data": features[400:403].tolist()})
    assert (reply.status, reply.headers["x-ms-run-function-failed"]) == (200, "False")
    assert np.allclose(reply.json(), model.predict(features[400:403]))
    swallowed = service.post("/score", {"data": [[1, 2]]})
    assert (swallowed.status, swallowed.headers["x-ms-run-function-failed"]) == (200, "False"), "an error that the script returns is an answer"
    assert "X has 2 features" in swallowed.json()
    assert service.post("/score", {"rows": []}).json() == "'data'"


def test_a_digit_recogniser_with_every_habit(app: App) -> None:
    app.write(
        {
            "labels.txt": "zero one",
            "settings.txt": "relative",
            "utils/__init__.py": "",
            "utils/images.py": scripts.UTILS,
            "models/model/model.json": "[[1, 0], [0, 1]]",
        }
    )
    service = app.serve(scripts.DIGITS, "--model-dir", str(app.folder / "models"))
    reply = service.post("/score", {"data": [[9, 1], [0, 255]]}, headers={"x-request-id": "r-7"})
    assert reply.json() == '{"labels": ["zero", "one"], "config": "relative"}', "json.dumps in run() is encoded twice, as ever"
    assert json.loads(reply.json())["labels"] == ["zero", "one"]
    said = lines_of(service, "r-7")
    assert [line for line in said if line[1] != "no GPU"] == [("info", "2 images"), ("info", "scoring 2 images")], "prints and logging.info, with the id"
    assert ("warning", "no GPU") in said
    assert "model root is" in service.wait_log("model root is")
    assert service.wait_log("Init complete")


@pytest.mark.parametrize("collects", [False, True])
def test_a_pandas_schema_script_with_collectors(app: App, collects: bool) -> None:
    env = {"AML_MODEL_DC_STORAGE_ENABLED": "true", "FAIRLEAD_CAPTURE_DIR": str(app.folder / "captured")} if collects else {}
    service = app.serve(scripts.CHURN, env=env)
    reply = service.post("/score", {"data": [{"tenure": 4, "plan": "a"}, {"tenure": 6, "plan": "b"}], "factor": 2.0}, headers={"x-request-id": "r-8"})
    assert (reply.status, reply.json()) == (200, [8.0, 12.0])
    assert service.post("/score", {"data": [{"tenure": "x", "plan": "a"}], "factor": 2.0}).status == 400
    assert service.request("POST", "/score", b"{}", {"Content-Type": "text/plain"}).status == 415
    written = sorted(path.name for path in (app.folder / "captured").rglob("*.csv"))
    assert written == (["inputs.csv", "predictions.csv"] if collects else [])
    if collects:
        (inputs,) = (app.folder / "captured").rglob("inputs.csv")
        (predictions,) = (app.folder / "captured").rglob("predictions.csv")
        assert inputs.read_text().splitlines()[1].startswith("4,a,")
        assert all(line.endswith("r-8") for path in (inputs, predictions) for line in path.read_text().splitlines()[1:])


def test_a_driver_module_hands_over_to_the_inner_run_with_its_headers(app: App) -> None:
    app.write({"inner.py": scripts.INNER})
    service = app.serve(scripts.DRIVER)
    reply = service.request("POST", "/score", b"text", {"X-Caller": "me", "Content-Type": "text/plain"})
    assert reply.json() == [["inner init", "outer init"], "text", "me", "dict"]


@pytest.mark.parametrize("name", scripts.BROKEN)
def test_a_script_that_cannot_serve_ends_with_its_own_code_and_sentence(app: App, name: str) -> None:
    source, words = scripts.BROKEN[name]
    service = app.serve(source, ready=False)
    assert service.wait_exit() == 3
    assert words in service.log.read_text()


@pytest.fixture
def misbehaving(app: App) -> Service:
    return app.serve(scripts.MISBEHAVING, env={"SCORING_TIMEOUT_MS": "600"})


def ask(service: Service, word: str) -> tuple[int, Any, str | None]:
    reply = service.request("POST", "/score", word, {"Content-Type": "text/plain"})
    return reply.status, reply.json(), reply.headers.get("x-ms-run-function-failed")


def test_what_a_script_does_wrong_is_answered_as_it_ever_was(misbehaving: Service) -> None:
    assert ask(misbehaving, "raise") == ask(misbehaving, "deep") == (500, FAILED, "True")
    assert "ValueError: a secret" in misbehaving.wait_log("a secret")
    assert ask(misbehaving, "sleep") == (500, {"message": "Scoring timeout after 600 ms"}, "True")
    assert ask(misbehaving, "exit") == (500, FAILED, "True"), "the Azure server answers with HTML and no headers"
    assert ask(misbehaving, "fine") == (200, "fine", "False"), "and the worker goes on"


def test_a_script_that_kills_its_process_loses_only_its_own_request(misbehaving: Service) -> None:
    status, _, _ = ask(misbehaving, "die")
    assert status == 503, "the Azure server closes the connection without a word"
    misbehaving.wait_ready()
    assert ask(misbehaving, "fine")[0] == 200


def test_an_answer_carries_ids_time_and_version(misbehaving: Service) -> None:
    reply = misbehaving.request("POST", "/score", "x", {"x-ms-client-request-id": "C", "Content-Type": "text/plain"})
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) >= 0
    assert reply.headers["x-ms-server-version"].startswith("fairlead/")
    assert (reply.headers["x-ms-request-id"], reply.headers["x-ms-client-request-id"], len(reply.headers["x-request-id"])) == ("C", "C", 36)
    assert misbehaving.request("HEAD", "/score").status == misbehaving.request("PUT", "/score", b"").status == 405

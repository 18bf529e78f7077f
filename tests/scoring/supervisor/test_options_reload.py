"""`serve --options`: everything in the file changes together; what cannot is named; what only the front needs costs no worker."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.errors import UsageFault
from fairlead_scoring.supervisor.options import read

from tests.live import Launcher
from tests.scoring.supervisor.steered import Steered


@pytest.fixture
def steered(tmp_path: Path) -> Steered:
    return Steered(tmp_path)


WRONG: list[Any] = [
    ("[]", "one JSON object"),
    ("{", "not JSON"),
    ('{"entry_scrip": "a"}', "did you mean entry_script?"),
    ('{"arguments": []}', "unknown option"),
    ('{"workers": "2"}', 'workers in the options file .* is "2"; it must be a whole number'),
    ('{"workers": true}', "a whole number"),
    ('{"workers": null}', "a whole number"),
    ('{"workers": 0, "entry_script": "a"}', "at least one worker"),
    ('{"limits": {"deadline": "1"}}', "an object of numbers"),
    ('{"limits": {"deadlin": 1}, "entry_script": "a"}', "no limit deadlin"),
    ('{"environment": {"A": 1}}', "an object of texts"),
    ('{"log_level": "loud"}', "use one of debug, info"),
    ('{"revision": "a b", "entry_script": "a"}', "a revision's name"),
    ('{"log_max_bytes": 100000, "entry_script": "a"}', "needs --log-file"),
    ('{"log_max_bytes": 1, "log_file": "l", "entry_script": "a"}', "4096 or more"),
    ('{"unsafe_formats": "maybe"}', "use one of allow, deny"),
]


@pytest.mark.parametrize(("content", "words"), WRONG)
def test_a_file_that_makes_no_sense_is_refused_in_a_sentence(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "options.json"
    file.write_text(content)
    with pytest.raises(UsageFault, match=words):
        read(["--options", str(file)], {})


def test_flags_beat_the_file_and_the_file_beats_variables(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"entry_script": "score.py", "workers": 2, "limits": {"wait": 3, "deadline": 4}, "cors": ["https://a"], "name": "churn"}))
    said = read(["--options", str(file), "--max-wait", "5"], {"WORKER_COUNT": "7", "SCORING_TIMEOUT_MS": "1000", "FAIRLEAD_MAX_WAITING": "9"})
    assert (said.workers, said.limits, said.cors, said.title) == (2, {"wait": 5.0, "deadline": 4, "waiting": 9}, ("https://a",), "churn")
    assert said.entry_script == str(tmp_path / "score.py"), "relative to the file"


def test_everything_changes_together(serve: Launcher, steered: Steered) -> None:
    steered.write(1, environment={"MODE": "old"}, workers=1, prefix="/old")
    steered.start(serve)
    steered.write(2, environment={"MODE": "new"}, workers=2, prefix="/new", limits={"body": 100, "deadline": 7}, log_level="warning")
    assert steered.reload()["outcome"] == "ok"
    service = steered.service
    assert steered.score() == [2, "new"]
    assert service.post("/score", 1).headers["x-fairlead-revision"] == "r2"
    assert (service.get("/old/version").status, service.get("/new/version").status) == (404, 200)
    assert service.post("/score", "x" * 200).status == 413
    assert steered.ask("status")["workers"] == {"ready": 2, "wanted": 2}
    assert '"init 1"' in steered.log.read_text()
    assert '"init 2"' not in steered.log.read_text(), "what a script prints is of level info"


def test_what_only_the_front_needs_costs_no_worker(serve: Launcher, steered: Steered) -> None:
    steered.write(1)
    steered.start(serve)
    before = _workers(steered)
    steered.write(1, generation=2, limits={"waiting": 3}, cors=["https://a.example"], title="Churn")
    assert steered.reload()["outcome"] == "ok"
    assert _workers(steered) == before
    assert steered.service.get("/status").json()["queue"]["limit"] == 3
    assert steered.service.get("/version", {"origin": "https://a.example"}).headers["access-control-allow-origin"] == "https://a.example"
    assert (steered.ask("status")["generation"], steered.ask("status")["revision"]) == (2, "r1")
    assert steered.reload(fresh=False)["outcome"] == "ok"
    assert _workers(steered) == before
    assert steered.reload()["outcome"] == "ok"
    assert _workers(steered) != before, "asked for with nothing changed, a reload is new workers"


FIXED: list[Any] = [
    ({"host": "127.0.0.2"}, "host cannot change while the service runs"),
    ({"log_file": "other.jsonl"}, "log_file cannot change"),
    ({"control": "run/other.sock"}, "control cannot change"),
    ({"tls_cert": "a.pem", "tls_key": "b.pem"}, "TLS cannot be turned on"),
    ({"keys": "none.json"}, "cannot be used"),
    ({"workers": "many"}, "a whole number"),
    ({"bundle": "b"}, "A BUNDLE has its own script"),
]


@pytest.mark.parametrize(("change", "words"), FIXED)
def test_what_cannot_change_is_named_and_nothing_else_changes(serve: Launcher, steered: Steered, change: dict[str, Any], words: str) -> None:
    steered.write(1)
    steered.start(serve)
    steered.write(2, **change)
    last = steered.reload()
    assert (last["outcome"], last["cause"]) == ("failed", "options-invalid")
    assert words in last["message"]
    assert steered.score() == [1, None]


def test_keys_that_are_turned_on_hold_from_the_first_request_after_the_reload(serve: Launcher, steered: Steered) -> None:
    steered.write(1)
    steered.start(serve)
    (steered.folder / "keys.json").write_text(json.dumps({"primary": hashlib.sha256(b"k").hexdigest()}))
    steered.write(1, keys="keys.json", generation=2)
    assert steered.reload()["outcome"] == "ok"
    assert steered.service.post("/score", 1).status == 401
    assert steered.service.post("/score", 1, {"authorization": "Bearer k"}).status == 200


def test_a_candidate_has_to_answer_as_recorded_and_a_worker_that_is_replaced_has_not(serve: Launcher, steered: Steered) -> None:
    (steered.folder / "sample.json").write_text("1")
    (steered.folder / "expected.json").write_text("[1, null]")
    steered.write(1, sample="sample.json", expected="expected.json")
    steered.start(serve)
    steered.write(2)
    last = steered.reload()
    assert (last["stage"], last["cause"]) == ("proving", "answer-differs")
    assert last["message"].startswith("The sample's answer is not the recorded one: row 0 is 2, recorded 1 (tolerance 1e-06).")
    steered.write(2, tolerance=1.5)
    assert steered.reload()["outcome"] == "ok"


def _workers(steered: Steered) -> list[int]:
    return sorted(worker["pid"] for worker in steered.service.get("/status").json()["workers"] if worker["state"] == "ready")

"""`fairlead batch run` and `fairlead job` as a person runs them, against a real server with the real runtime."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import joblib
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from fairlead.cli.batch import listed, options_of
from tests.control_plane import ControlPlane
from tests.deploying import Shell, hears_ctrl_c, in_a_terminal, in_process
from tests.live import FAIRLEAD
from tests.waiting import until

SLOW = "import time\ndef init(): ...\ndef run(mini_batch):\n    time.sleep(60)\n    return list(mini_batch['x'])\n"


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    """Two files of rows, and the model level.joblib beside them."""
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], ["low", "high"]), tmp_path / "level.joblib")
    frame = pd.DataFrame({"id": range(100, 300), "x": [number / 199 for number in range(200)]})
    frame[:120].to_parquet(tmp_path / "a.parquet", index=False)
    frame[120:].to_parquet(tmp_path / "b.parquet", index=False)
    return frame


def test_a_model_file_scores_files(shell: Shell, rows: pd.DataFrame, tmp_path: Path) -> None:
    done = shell("batch", "run", "level.joblib", "--in", "a.parquet", "b.parquet", "--columns", "id,x", "--keep", "id", "--out", "scores", "-n", "first")
    assert done.code == 0, done.err
    assert "registered level.joblib as level:1" in done.err
    assert done.out.startswith("first Succeeded (")
    assert all(len(line) <= 80 for line in done.out.splitlines() if "/" not in line), done.out
    assert [line.split() for line in done.out.splitlines() if line.split()[:1] in (["Rows"], ["Failed"])] == [["Rows", "200"], ["Failed", "0"]]
    found = pd.read_parquet(tmp_path / "scores")
    model = joblib.load(tmp_path / "level.joblib")
    assert list(found["id"]) == list(rows["id"])
    assert list(found["prediction"]) == list(model.predict(rows[["x"]].to_numpy()))
    _look_at_the_job(shell, tmp_path)


def _look_at_the_job(shell: Shell, tmp_path: Path) -> None:
    shown = json.loads(shell.ok("job", "show", "first", "--json"))
    assert (shown["state"], shown["models"], shown["progress"]["rows"]["done"]) == ("Succeeded", ["level:1"], 200)
    assert "Succeeded" in shell.ok("job", "show", "first")
    assert shell.ok("job", "show", shown["id"], "-q") == "Succeeded\n"
    assert [each["name"] for each in json.loads(shell.ok("job", "list", "--state", "succeeded", "--json"))] == ["first"]
    assert shell("job", "list", "--state", "Failed").err.startswith("There are no jobs")
    assert shell("job", "list", "--state", "broken").code == 2
    outputs = json.loads(shell.ok("job", "outputs", "first", "--download", "fetched", "--json"))
    assert sum(each["rows"] for each in outputs) == 200
    for each in outputs:
        assert (tmp_path / "fetched" / each["path"]).read_bytes() == (tmp_path / "scores" / each["path"]).read_bytes()
    assert {"JobSubmitted", "JobSucceeded"} <= {each["event"] for each in json.loads(shell.ok("job", "events", "first", "--json"))}
    [record] = json.loads(shell.ok("job", "query", "select JobName, ExecutionState from job_events where EventType = 'JobSucceeded'", "--json"))
    assert record == {"JobName": "first", "ExecutionState": "Succeeded"}
    refused = shell("job", "query", "delete from job_events")
    assert (refused.code, refused.err.startswith("fairlead: ")) == (2, True)
    assert "sys/master_role.txt" in shell.ok("job", "logs", "first", "--list")
    assert shell.ok("job", "logs", "first", "--path", "sys/master_role.txt")
    assert shell("job", "logs", "first", "--path", "absent.txt").code == 2


def test_a_script_gets_mini_batches_and_what_fails_is_told(shell: Shell, rows: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/words.py").write_text("WORD = 'row'\n")
    (tmp_path / "code/batch.py").write_text(
        "import words\ndef init(): print('ready')\ndef run(mini_batch):\n"
        "    assert 105 not in list(mini_batch['id']), 'no 105'\n    return [f'{words.WORD} {each}' for each in mini_batch['id']]\n"
    )
    shell.ok("model", "register", "level.joblib")
    script = ("--script", "batch.py", "--source-dir", "code", "--mini-batch", "40rows", "--append-row", "out.txt", "--max-try", "1")
    done = shell("batch", "run", "level:1", "--in", "*.parquet", *script, "--out", "named", "--error-threshold", "5", "-n", "named", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["progress"]["rows"]["failed"] == 1
    assert (tmp_path / "named/out.txt").read_text().splitlines() == [f"row {each}" for each in rows["id"] if each != 105]
    assert "ready" in shell.ok("job", "logs", "named")
    strict = shell("batch", "run", "level:1", "--in", "*.parquet", *script, "--out", "strict", "-n", "strict")
    assert (strict.code, strict.out) == (1, "")
    assert "too-many-failed" in strict.err
    assert "The job strict failed while scoring: " in strict.err.splitlines()[-1]
    (tmp_path / "code/batch.py").write_text("def init(): raise OSError('no weights')\ndef run(mini_batch): return []\n")
    broken = shell("batch", "run", "level:1", "--in", "*.parquet", *script, "-n", "broken")
    assert (broken.code, "no weights" in broken.err, "init-raised" in broken.err) == (3, True, True)


def test_a_job_is_cancelled_run_again_and_deleted(shell: Shell, rows: pd.DataFrame, deploying_plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    said = shell.ok("batch", "run", "level.joblib", "--in", "a.parquet", "--script", "slow.py", "-n", "slow", "--no-wait")
    assert "fairlead job show slow --wait" in said
    assert json.loads(shell.ok("job", "cancel", "slow", "--json"))["state"] == "Cancelled"
    watched = shell("job", "show", "slow", "--wait")
    assert (watched.code, "was cancelled" in watched.err) == (1, True)
    shell.ok("batch", "run", "level:1", "--in", "a.parquet", "--columns", "x", "-n", "quick", "-q")
    again = json.loads(shell.ok("job", "rerun", "quick", "-n", "again", "--json"))
    assert (again["state"], again["models"]) == ("Succeeded", ["level:1"])
    assert shell.ok("job", "delete", "quick", "-q") == "quick\n"
    assert shell("job", "show", "quick").code == 2


def test_ctrl_c_leaves_the_job_going(shell: Shell, rows: pd.DataFrame, deploying_plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    log = tmp_path / "out.txt"
    env = deploying_plane.env | {"FAIRLEAD_WORKSPACE": shell.workspace}
    with log.open("w") as sink:
        command = [str(FAIRLEAD), "batch", "run", "level.joblib", "--in", "a.parquet", "--script", "slow.py", "-n", "slow"]
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=sink, stderr=sink, preexec_fn=hears_ctrl_c)  # noqa: PLW1509 - it only sets a signal
        until(lambda: "starting" in log.read_text(), "the job to be under way", timeout=60)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert "The job slow goes on." in log.read_text()
    assert "`fairlead job cancel slow` ends it." in log.read_text()
    assert json.loads(shell.ok("job", "cancel", "slow", "--json"))["state"] == "Cancelled"


def test_a_terminal_shows_a_bar(shell: Shell, rows: pd.DataFrame, deploying_plane: ControlPlane) -> None:
    text = in_a_terminal(["batch", "run", "level.joblib", "--in", "a.parquet", "--columns", "x", "-n", "shown"], shell, deploying_plane)
    assert "✓ scoring" in text
    assert "shown Succeeded" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("level.joblib",), "What is to be scored?"),
        (("level.joblib", "--in", "absent.csv"), "There is no file absent.csv."),
        (("level.joblib", "--in", "*.csv"), "No file matches *.csv"),
        (("level.joblib", "--query", "select 1"), "--query and --database belong together"),
        (("level.joblib", "--in", "a.parquet", "--append-row", "a.txt", "--summary-only"), "say one, or neither"),
        (("level.joblib", "--in", "a.parquet", "--mini-batch", "many"), "'many' is no mini-batch; write 10MB, 10000rows or 5files."),
        (("level.joblib", "--in", "a.parquet", "--engine", "dask"), "engine.name must be "),
        (("level.joblib", "--in", "a.parquet", "--source-dir", "."), "--source-dir is the folder of a script"),
        (("level.joblib", "--in", "a.parquet", "--credentials", "absent", "s3://bucket/x.parquet"), "absent"),
        (("absent.pkl", "--in", "a.parquet"), "There is no file absent.pkl."),
    ],
)
@pytest.mark.usefixtures("ws", "rows")
def test_what_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = in_process(capsys, "batch", "run", *words)
    assert (done.code, sentence in done.err) == (2, True), done.err


def test_options_are_words_or_json() -> None:
    assert options_of(["delimiter=;", "header=false", 'nulls=["", "NA"]'], "--input-option") == {"delimiter": ";", "header": False, "nulls": ["", "NA"]}
    assert listed(" a, b,") == ["a", "b"]
    assert listed(None) is None


def test_a_script_that_needs_no_model_names_none(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "lengths.py").write_text("def init(): ...\ndef run(mini_batch):\n    return [open(path).read() for path in mini_batch]\n")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.txt").write_text("one")
    done = shell("batch", "run", "--script", "lengths.py", "--in", "words", "--append-row", "all.txt", "--out", "out", "-n", "bare")
    assert done.code == 0, done.err
    assert (tmp_path / "out" / "all.txt").read_text() == "one\n"
    lacking = shell("batch", "run", "--in", "words")
    assert (lacking.code, "Which model? Name it first" in lacking.err) == (2, True)

"""`fairlead deploy`, `service` and `trace` as a person runs them, against a real server."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import joblib
import pytest
from fairlead_scoring.bundle import is_bundle
from sklearn.linear_model import LogisticRegression

from fairlead import Workspace
from tests.control_plane import ControlPlane
from tests.deploying import Shell, hears_ctrl_c, in_a_terminal
from tests.live import FAIRLEAD
from tests.waiting import until


def test_a_script_is_deployed_shown_called_changed_and_deleted(shell: Shell, echo: Path) -> None:
    done = shell("deploy", "score.py", "-n", "echo", "--sample", "sample.json", "--env", "GREETING=hi", "--tag", "team=a", "--set", "workers=2")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.err.splitlines()] == ["uploading", "packaging", "building", "starting", "proving"]
    assert "echo is Healthy (revision 1, " in done.out
    for line in ("Scoring URI  http://127.0.0.1:", "Keys         fairlead service get-keys echo", "Logs         fairlead service logs echo"):
        assert line in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())
    shown = json.loads(shell.ok("service", "show", "echo", "--json"))
    assert (shown["state"], shown["tags"], shown["settings"]["workers"], shown["auth"]) == ("Healthy", {"team": "a"}, 2, "key")
    assert json.loads(shell.ok("service", "run", "echo", "-d", '{"a": [1]}')) == {"echo": {"a": [1]}, "greeting": "hi"}
    assert json.loads(shell.ok("service", "run", "echo", "-d", "@sample.json"))["echo"] == {"x": 1}
    assert json.loads(shell.ok("service", "run", "echo"))["echo"] == {"x": 1}
    shell.ok("service", "update", "echo", "--env", "GREETING=yo")
    assert json.loads(shell.ok("service", "run", "echo"))["greeting"] == "yo"
    echo.write_text(echo.read_text().replace("echo", "said"))
    shell.ok("service", "reload", "echo")
    assert json.loads(shell.ok("service", "run", "echo"))["said"] == {"x": 1}
    shell.ok("service", "rollback", "echo", "--to", "1")
    assert json.loads(shell.ok("service", "run", "echo")) == {"echo": {"x": 1}, "greeting": "hi"}
    revisions = json.loads(shell.ok("service", "revisions", "echo", "--json"))
    assert [(each["number"], each["reason"]) for each in revisions] == [(4, "rollback"), (3, "reload"), (2, "update"), (1, "deploy")]
    assert shell.ok("service", "events", "echo", "--quiet")
    assert shell.ok("service", "delete", "echo", "--quiet") == "echo\n"
    assert shell("service", "list").err.startswith("There are no services")


def test_a_model_file_is_registered_first_and_deployed(shell: Shell, tmp_path: Path) -> None:
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], ["low", "high"]), tmp_path / "My Model_2.pkl")
    (tmp_path / "request.json").write_text('{"data": [[1.0]], "method": "predict"}')
    (tmp_path / "answer.json").write_text('{"predict": ["high"]}')
    done = shell("deploy", "My Model_2.pkl", "--sample", "request.json", "--expected", "answer.json", "--auth", "none")
    assert done.code == 0, done.err
    assert "registered My Model_2.pkl as My-Model_2:1" in done.err
    assert "my-model-2 is Healthy" in done.out
    assert json.loads(shell.ok("service", "run", "my-model-2")) == {"predict": ["high"]}
    again = shell("deploy", "My-Model_2:1", "-n", "my-model-2")
    assert (again.code, "There is a service 'my-model-2' already" in again.err) == (2, True)
    url = shell.ok("deploy", "My-Model_2:1", "--overwrite", "--quiet").strip()
    answered = json.loads(shell.ok("call", url, "--json"))
    for identity in (answered["headers"]["x-fairlead-revision"], answered["headers"]["x-request-id"]):
        traced = json.loads(shell.ok("trace", identity, "--json"))
        assert (traced["service"], traced["models"][0]["name"], traced["revision"]["number"]) == ("my-model-2", "My-Model_2", 2)
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"predict": ["low"]}')
    refused = shell("service", "update", "my-model-2", "--sample", "request.json", "--expected", "wrong.json")
    assert (refused.code, "answer-differs" in refused.err) == (3, True)


def test_a_bundle_is_deployed_as_it_is(shell: Shell, echo: Path, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"m")
    shell.ok("bundle", "m.bin", "--script", "score.py", "--sample", "sample.json", "-o", "out")
    assert is_bundle(tmp_path / "out")
    assert "m is Healthy" not in shell.ok("deploy", "out", "-n", "bundled", "--auth", "none")
    assert json.loads(shell.ok("service", "run", "bundled"))["echo"] == {"x": 1}


def test_a_deploy_that_is_refused_has_registered_nothing(shell: Shell, echo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pkl").write_bytes(b"")
    refused = shell("deploy", "empty.pkl", "-n", "taken")
    assert (refused.code, "empty.pkl is empty" in refused.err) == (2, True)
    shell.ok("deploy", "score.py", "-n", "taken")
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "model.joblib")
    refused = shell("deploy", "model.joblib", "-n", "taken")
    assert (refused.code, "There is a service 'taken' already" in refused.err) == (2, True)
    again = shell("service", "create", "realtime", "-n", "taken", "-f", "score.py", "-m", "model.joblib")
    assert (again.code, "There is a service 'taken' already" in again.err) == (2, True)
    assert json.loads(shell.ok("model", "list", "--json")) == []


def test_a_failed_deploy_says_stage_cause_last_lines_and_what_to_do(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import absent_module\ndef init(): ...\ndef run(data): ...\n")
    done = shell("deploy", "broken.py")
    assert (done.code, done.out) == (3, "")
    assert "stage  starting" in done.err
    assert "cause  package-missing" in done.err
    assert "ModuleNotFoundError: No module named 'absent_module'" in done.err
    assert done.err.rstrip().endswith("Correct it and try again; `fairlead service logs broken` shows more.")
    (tmp_path / "fine.py").write_text("def init(): ...\ndef run(data): ...\n")
    assert "There is no secret 'absent' in this workspace" in shell("deploy", "fine.py", "-n", "broken", "--overwrite", "--secret", "absent").err
    told = shell("deploy", "broken.py", "--overwrite", "--json")
    assert told.code == 3
    assert json.loads(told.out)["update_error"]["cause"] == "package-missing"


def test_a_first_deploy_that_failed_is_tried_again_by_the_same_command(shell: Shell, tmp_path: Path) -> None:
    """What has answered once is not deployed over without a word."""
    (tmp_path / "score.py").write_text("import absent_module\ndef init(): ...\ndef run(data): ...\n")
    assert shell("deploy", "score.py", "-n", "again").code == 3
    silent = shell("service", "run", "again", "-d", "1")
    assert (silent.code, silent.out) == (6, "")
    assert "The service again does not answer; it is Failed: The script " in silent.err
    assert "needs the module 'absent_module'" in silent.err
    assert silent.err.rstrip().endswith("`fairlead service doctor again` finds what is wrong.")
    (tmp_path / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
    assert "again is Healthy (revision 2" in shell.ok("deploy", "score.py", "-n", "again")
    assert "Try it       fairlead service run again -d @request.json" in shell.ok("service", "usage", "again")
    without = shell("service", "run", "again")
    assert (without.code, "has no sample of its own; send a body (`-d @request.json`)" in without.err) == (2, True)
    absent = shell("service", "logs", "again", "-r", "no-such-id")
    assert (absent.code, absent.out, "No line is kept of the request no-such-id" in absent.err) == (0, "", True)
    refused = shell("deploy", "score.py", "-n", "again")
    assert refused.code == 2
    assert (
        "There is a service 'again' already; update it (`fairlead service update again`), deploy over it (--overwrite; overwrite=True in Python),"
        in refused.err
    )


def test_a_package_that_no_index_has_fails_the_deploy_by_name(shell: Shell, echo: Path, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("fairlead-has-no-such-package==9\n")
    done = shell("deploy", "score.py", "-n", "echo", "--requirements", "requirements.txt")
    assert done.code == 3
    assert "fairlead-has-no-such-package" in done.err
    assert "Correct the requirements" in done.err


def test_keys_tokens_logs_and_profiles_have_their_commands(shell: Shell, echo: Path) -> None:
    shell.ok("deploy", "score.py", "-n", "echo", "--sample", "sample.json", "-q")
    first = json.loads(shell.ok("service", "get-keys", "echo", "--json"))
    made = json.loads(shell.ok("service", "regen-key", "echo", "-k", "Primary", "--json"))
    assert (made["secondary"], made["primary"] != first["primary"]) == (first["secondary"], True)
    assert shell.ok("service", "regen-key", "echo", "-k", "secondary", "-s", "k" * 20, "-q") == "k" * 20 + "\n"
    assert shell("service", "get-access-token", "echo").code == 2
    assert "loading" in shell.ok("service", "logs", "echo")
    assert "loading" in shell.ok("service", "get-logs", "-n", "echo", "--init")
    told = json.loads(shell.ok("service", "profile", "echo", "--seconds", "0.5", "--json"))
    assert told["successRate"] == 100
    assert "requests/s" in shell.ok("service", "profile", "echo", "--seconds", "0.5", "--rate", "20")


def test_a_terminal_shows_stages_as_they_go_on(shell: Shell, echo: Path, deploying_plane: ControlPlane, ws: Workspace) -> None:
    text = in_a_terminal(["deploy", "score.py", "-n", "echo"], shell, deploying_plane)
    assert "✓ proving" in text
    assert "echo is Healthy" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_ctrl_c_while_waiting_leaves_the_deploy_going(shell: Shell, deploying_plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ndef init(): time.sleep(5)\ndef run(data): return 1\n")
    env = deploying_plane.env | {"FAIRLEAD_WORKSPACE": shell.workspace}
    log = tmp_path / "out.txt"
    with log.open("w") as sink:
        command = [str(FAIRLEAD), "deploy", "slow.py"]
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=sink, stderr=sink, preexec_fn=hears_ctrl_c)  # noqa: PLW1509 - it only sets a signal
        until(lambda: "starting" in log.read_text() or "environment" in log.read_text(), "the deployment to be under way")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert "slow: the deployment goes on. Follow it with `fairlead service show slow --wait`." in log.read_text()
    assert "Healthy" in shell.ok("service", "show", "slow", "--wait")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "What is to be deployed?"),
        (["absent.pkl"], "There is no file absent.pkl"),
        (["folder/absent"], "There is no file folder/absent"),
        (["absent"], "There is no model 'absent'"),
        (["absent:7"], "There is no model 'absent"),
        (["a:b:c"], "names no model"),
        (["score.py", "-n", "Echo Service"], "Try 'echo-service'"),
        (["score.py", "--auth", "magic"], "say key, token or none"),
        (["score.py", "--env", "A"], "--env 'A'"),
        (["score.py", "--tag", "=b"], "--tag '=b'"),
        (["score.py", "--set", "colour=red"], "there is no such key"),
        (["score.py", "--set", "numReplicas=none"], "whole number"),
        (["score.py", "--port", "99999"], "port is 99999"),
        (["score.py", "--host", "192.0.2.1", "--auth", "none"], "may listen on this machine alone"),
        (["score.py", "--requirements", "absent.txt"], "absent.txt cannot be read"),
        (["score.py", "--requirements", "sample.json", "--conda", "x.yml"], "both say the packages"),
        (["score.py", "--ic", "absent.json"], "absent.json cannot be read"),
        (["score.py", "--script", "score.py"], "has one script"),
        (["--source-dir", ".", "m:1"], "give --script too"),
        (["score.py", "--sample", "absent.json"], "absent.json cannot be read"),
        (["score.py", "--schema", "score.py"], "is not JSON"),
        (["score.py", "--environment", "absent:1"], "absent"),
        (["broken.py"], "broken.py, line 1"),
        (["score.py", "--nonsense"], "No such option"),
    ],
)
def test_an_error_is_one_sentence_and_nothing_is_deployed(shell: Shell, echo: Path, arguments: list[str], says: str) -> None:
    (echo.parent / "broken.py").write_text("def init(:\n")
    done = shell("deploy", *arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert says in done.err
    assert "Traceback" not in done.err
    assert json.loads(shell.ok("service", "list", "--json")) == []


def test_a_model_of_a_foreign_account_is_refused(shell: Shell) -> None:
    done = shell("deploy", "https://example.com/m.pkl")
    assert (done.code, done.out) == (5, ""), done.err
    assert "https://example.com/m.pkl is in no datastore of this workspace" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show"], "Which service?"),
        (["show", "realtime"], "Which service?"),
        (["show", "absent"], "There is no service 'absent'"),
        (["show", "a", "b"], "One service at a time"),
        (["show", "-i", "01a1ff47-c6dd-7feb-940b-631f7738629d"], "no service with the id"),
        (["list", "churn"], "takes no name"),
        (["run", "absent"], "There is no service 'absent'"),
        (["run", "absent", "-d", "@absent.json"], "There is no service|cannot be read"),
        (["scale", "absent"], "How many replicas?"),
        (["scale", "absent", "-z", "3"], "There is no service 'absent'"),
        (["regen-key", "absent", "-k", "Third"], "Say -k Primary or -k Secondary"),
        (["regen-key", "absent", "-k", "primary", "-s", "short"], "value must have 16 characters or more"),
        (["rollback", "absent"], "There is no service 'absent'"),
        (["reload", "absent"], "There is no service 'absent'"),
        (["delete", "absent"], "There is no service 'absent'"),
        (["logs", "absent"], "There is no service 'absent'"),
        (["profile", "absent", "--requests", "absent.jsonl"], "cannot be read"),
        (["create", "realtime", "-n", "x"], "needs a script and a name"),
        (["create", "batch", "-n", "x"], "needs a name, and a driver or a model"),
        (["create", "realtime", "-f", "score.py", "-n", "No_Good"], "Try 'no-good'"),
        (["create", "realtime", "-f", "score.py", "-n", "good", "-r", "cntk-py"], "CNTK ended in 2019"),
        (["create", "realtime", "-f", "score.py", "-n", "good", "-l", "loud"], "say info, debug, warn or trace"),
        (["create", "realtime", "-f", "score.py", "-n", "good", "-d", "absent"], "absent"),
    ],
)
def test_bad_words_to_service_are_one_sentence(shell: Shell, echo: Path, arguments: list[str], says: str) -> None:
    done = shell("service", *arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert any(each in done.err for each in says.split("|")), done.err
    assert "Traceback" not in done.err


def test_a_profile_of_bad_requests_is_refused_before_it_begins(shell: Shell, echo: Path) -> None:
    (echo.parent / "requests.jsonl").write_text('{"a": 1}\nnonsense\n')
    done = shell("service", "profile", "echo", "--requests", "requests.jsonl")
    assert (done.code, "requests.jsonl, line 2 is not JSON" in done.err) == (2, True)


def test_trace_of_what_nobody_said(shell: Shell) -> None:
    done = shell("trace", "deadbeef")
    assert (done.code, "deadbeef" in done.err) == (2, True)

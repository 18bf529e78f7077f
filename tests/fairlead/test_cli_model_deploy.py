"""`fairlead model deploy`, `profile` and `package`: configuration files, and the flags that override them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from fairlead import Environment, Model, Workspace
from tests.deploying import Shell

AKS = """
computeType: AKS
autoScaler:
authEnabled: true
numReplicas: 1
containerResourceRequirements: {cpu: 1, memoryInGB: 0.5}
scoringTimeoutMs: 5000
livenessProbeRequirements:
  periodSeconds: 20
"""
INFERENCE = """
entryScript: score.py
runtime: python
condaFile:
environment:
  name: inline
  environmentVariables: {GREETING: inline}
  python: {condaDependencies: {dependencies: [python=3.11]}}
"""


@pytest.fixture
def place(ws: Workspace, echo: Path) -> Path:
    """weights:1 is registered; score.py, inferenceconfig.yml and deploymentconfig.yml lie here, in a git repository."""
    folder = echo.parent
    (folder / "weights.bin").write_bytes(b"w")
    Model.register(ws, folder / "weights.bin", "weights", model_framework="Custom")
    (folder / "inferenceconfig.yml").write_text(INFERENCE.replace("runtime: python\n", ""))
    (folder / "deploymentconfig.yml").write_text(AKS)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_files_say_how_and_flags_override_them(shell: Shell, place: Path) -> None:
    (place / "model.json").write_text('{"modelId": "weights:1", "other": 1}')
    files = ("--ic", "inferenceconfig.yml", "--dc", "deploymentconfig.yml")
    done = shell("model", "deploy", "-n", "weighed", "-f", "model.json", *files, "--num-replicas", "2", "--scoring-timeout-ms", "7000", "--tag", "a=b")
    assert done.code == 0, done.err
    assert "No effect on a service of this machine" in done.err
    shown = json.loads(shell.ok("service", "show", "weighed", "--json"))
    assert (shown["models"], shown["auth"], shown["tags"]) == (["weights:1"], "key", {"a": "b"})
    assert (shown["settings"]["replicas"], shown["settings"]["scoring_timeout_ms"], shown["settings"]["max_queue_wait_ms"]) == (2, 7000, 500)
    assert json.loads(shell.ok("service", "run", "weighed", "-d", "1")) == {"echo": 1, "greeting": "inline"}
    revision = json.loads(shell.ok("service", "revisions", "weighed", "--json"))[0]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=place, capture_output=True, text=True).stdout.strip()
    assert (revision["git_commit"], revision["git_dirty"]) == (commit, True)
    assert "code at" in shell.ok("trace", revision["short_id"])


def test_a_reload_takes_the_script_from_where_it_lies_now(shell: Shell, place: Path) -> None:
    shell.ok("model", "deploy", "-n", "moved", "-m", "weights:1", "--ic", "inferenceconfig.yml", "--compute-type", "local")
    (place / "elsewhere").mkdir()
    (place / "score.py").rename(place / "elsewhere" / "score.py")
    refused = shell("service", "reload", "moved")
    assert (refused.code, "--source-dir DIR" in refused.err) == (2, True)
    (place / "elsewhere" / "score.py").write_text((place / "elsewhere" / "score.py").read_text().replace("echo", "moved"))
    shell.ok("service", "reload", "moved", "--source-dir", "elsewhere")
    assert "moved" in json.loads(shell.ok("service", "run", "moved", "-d", "1"))


def test_environments_are_named_or_lie_in_a_folder(shell: Shell, place: Path, ws: Workspace) -> None:
    made = Environment("loud")
    made.environment_variables = {"GREETING": "LOUD"}
    made.register(ws)
    shell.ok("model", "deploy", "-n", "named", "-m", "weights:1", "--es", "score.py", "-e", "loud", "--ev", "1", "--compute-type", "local")
    assert json.loads(shell.ok("service", "run", "named", "-d", "1"))["greeting"] == "LOUD"
    made.environment_variables = {"GREETING": "from a folder"}
    made.save_to_directory(place / "env")
    shell.ok("model", "deploy", "-n", "named", "-m", "weights:1", "--es", "score.py", "--ed", "env", "--overwrite")
    assert json.loads(shell.ok("service", "run", "named", "-d", "1"))["greeting"] == "from a folder"


def test_a_profile_measures_models_and_leaves_no_service(shell: Shell, place: Path) -> None:
    (place / "requests.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    command = ("model", "profile", "-n", "weighed", "-m", "weights:1", "--ic", "inferenceconfig.yml", "--idi", "requests.jsonl", "--seconds", "0.5")
    told = json.loads(shell.ok(*command, "--json"))
    assert (told["state"], told["successRate"], told["name"]) == ("Succeeded", 100, "weighed")
    assert "recommended" in shell.ok(*command)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["deploy", "-m", "weights:1"], "Give -n NAME"),
        (["deploy", "-n", "x-y-z", "--ct", "myaks", "-m", "weights:1"], "no compute target 'myaks'"),
        (["deploy", "-n", "x-y-z", "-f", "absent.json"], "absent.json cannot be read"),
        (["deploy", "-n", "x-y-z", "-f", "sample.json"], "names no model"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1", "--ic", "score.py"], "score.py"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1", "--es", "score.py", "--num-replicas", "many"], "whole number"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1", "--es", "score.py", "--auth-enabled", "maybe"], "true or false"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1", "--es", "score.py", "--compute-type", "moon"], "local, aci or aks"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1", "--es", "score.py", "--auth-enabled", "true", "--token-auth-enabled", "true"], "exclude"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1", "--es", "score.py", "--ev", "3"], "name it with -e"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1", "--es", "score.py", "--rt", "cntk-py"], "CNTK ended"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1", "--es", "score.py", "--ic", "inferenceconfig.yml"], "says the script and its folder already"),
        (["deploy", "-n", "x-y-z", "-m", "weights:1"], "x-y-z"),
        (["profile", "-m", "weights:1", "--idi", "absent.jsonl"], "cannot be read"),
        (["package", "-n", "x"], "What is to be packaged?"),
        (["package", "-m", "weights:1", "-n", "No Name"], "Try 'no-name'"),
    ],
)
def test_bad_words_are_one_sentence(shell: Shell, place: Path, arguments: list[str], says: str) -> None:
    done = shell("model", *arguments)
    assert done.code in (2, 3), done.err
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.out == ""

"""`fairlead bundle` as a person runs it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from fairlead.bundles import open_bundle

FAIRLEAD = (sys.executable, "-c", "from fairlead.cli import main; main()")


def run(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    path = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"}
    return subprocess.run([*FAIRLEAD, *arguments], capture_output=True, text=True, cwd=cwd, env={**path, **(env or {})})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "score.py").write_text("def init(): ...\ndef run(data): return data\n")
    (tmp_path / "m.bin").write_text("m")
    (tmp_path / "s.json").write_text('{"data": [[1]]}')
    return tmp_path


def test_makes_shows_and_verifies(place: Path) -> None:
    made = run("bundle", "ridge:2=m.bin", "--script", "score.py", "--sample", "s.json", "--schema", "sample", "-o", "out", cwd=place)
    assert made.returncode == 0, made.stderr
    digest = made.stdout.strip()
    assert len(digest) == 64
    assert "ridge: 3 files" in made.stderr
    shown = run("bundle", "--verify", "out", "--json", cwd=place)
    assert json.loads(shown.stdout) == {
        "digest": digest, "path": str(place / "out"), "name": "ridge", "files": 3, "bytes": sum(path.stat().st_size for path in place.glob("*.*")),
        "flavor": None,
    }  # fmt: skip
    (place / "out" / "extra").write_text("")
    broken = run("bundle", "--verify", "out", cwd=place)
    assert (broken.returncode, broken.stdout) == (3, "")
    assert "extra extra" in broken.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["bundle", "m.bin"], 2, "Give -o DIR"),
        (["bundle", "absent", "-o", "o"], 2, "Model 'absent' does not exist"),
        (["bundle", "m.bin", "-o", "o"], 2, "m.bin is no model file that Fairlead knows"),
        (["bundle", "m.bin", "--script", "m.bin", "-o", "o", "--conda", "x", "--requirements", "y"], 2, "give one"),
        (["bundle", "--nonsense"], 2, "No such option"),
        (["bundel"], 2, "bundle"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(place: Path, arguments: list[str], code: int, sentence: str) -> None:
    done = run(*arguments, cwd=place)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("arguments", "env"), [(["--debug"], {}), ([], {"FAIRLEAD_DEBUG": "1"})])
def test_debug_shows_the_traceback(place: Path, arguments: list[str], env: dict[str, str]) -> None:
    done = run(*arguments, "bundle", "m.bin", cwd=place, env=env)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "Traceback" not in run("bundle", "m.bin", "--name", "--debug", cwd=place).stderr


def test_help_imports_no_command(place: Path) -> None:
    loaded = "print('LOADED', 'fairlead.cli.bundle' in sys.modules, 'rich' in sys.modules)"
    watch = f"import sys\nfrom fairlead.cli import main\ntry: main(['--help'])\nfinally: {loaded}"
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, cwd=place, env={"PYTHONPATH": ":".join(filter(None, sys.path))})
    assert "LOADED False False" in done.stdout
    assert "bundle" in done.stdout
    assert "Make a bundle" in done.stdout


def test_a_command_has_its_own_help_and_the_version_shows(place: Path) -> None:
    shown = run("bundle", "--help", cwd=place)
    for option in ("--script", "--source-dir", "--requirements", "--conda", "--schema", "--sample", "--name", "--verify", "--json", "-o"):
        assert option in shown.stdout
    assert run("--version", cwd=place).stdout.startswith("fairlead 0.")


def test_without_a_script_the_models_flavor_makes_the_service(place: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    (place / "iris.pkl").write_bytes(pickle.dumps(model))
    done = run("bundle", "iris.pkl", "-o", "out", cwd=place)
    assert done.returncode == 0, done.stderr
    manifest = open_bundle(place / "out").manifest
    assert (manifest.name, manifest.flavor) == ("iris", "scikit-learn")
    assert "scikit-learn==" in (place / "out" / "requirements.txt").read_text()
    compile((place / "out" / "code" / "score.py").read_text(), "score.py", "exec")

"""`fairlead environment`, as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.environments import python_versions
from tests.control_plane import ControlPlane, ControlPlanes
from tests.fairlead.conftest import Wheel
from tests.fairlead.environments.test_spec import bare_environment, installed


@pytest.fixture
def plane(control_planes: ControlPlanes, wheel: Wheel, index: Path, tmp_path: Path) -> ControlPlane:
    wheel("alpha", "1.0", requires=("beta",))
    wheel("alpha", "2.0")
    wheel("beta", "2.0")
    return control_planes(env={"UV_DEFAULT_INDEX": (tmp_path / "no-index").as_uri(), "UV_FIND_LINKS": str(index), "UV_CACHE_DIR": str(tmp_path / "cache")})


def test_from_file_to_built_environment(plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("alpha<2\nazureml-defaults\n")
    made = run(plane, tmp_path, "create", "scoring", "requirements.txt", "--tag", "team=x")
    assert "azureml-defaults is left out" in made.stderr
    assert "scoring:1" in made.stdout
    assert "alpha==1.0, beta==2.0" in made.stdout
    (tmp_path / "env.yml").write_text("dependencies: [alpha=2]\n")
    assert run(plane, tmp_path, "create", "scoring", "env.yml", "-q").stdout == "scoring:2\n"
    assert run(plane, tmp_path, "list", "-q").stdout == "scoring\n"
    assert run(plane, tmp_path, "list", "scoring", "-q").stdout == "scoring:2\nscoring:1\n"
    shown = json.loads(run(plane, tmp_path, "show", "scoring:1", "--json").stdout)
    assert (shown["tags"], shown["python"], "--hash=sha256:" in shown["lock"]) == ({"team": "x"}, python_versions.own(), True)
    assert run(plane, tmp_path, "diff", "scoring:1").stdout.split() == ["PACKAGE", "scoring:1", "scoring:2", "alpha", "1.0", "2.0", "beta", "2.0", "-"]
    built = run(plane, tmp_path, "build", "scoring:1")
    assert "Installing 2 packages" in built.stderr
    assert "built" in built.stdout
    assert json.loads(run(plane, tmp_path, "archive", "scoring:2", "--json").stdout)["archived"] is True
    assert run(plane, tmp_path, "delete", "scoring:1", "-q").stdout == "scoring:1\n"
    run(plane, tmp_path, "delete", "scoring")
    assert "There are no environments" in run(plane, tmp_path, "list").stderr


def test_check_says_what_an_interpreter_lacks(plane: ControlPlane, tmp_path: Path) -> None:
    python = bare_environment(tmp_path)
    installed(tmp_path, "alpha", "1.0")
    (tmp_path / "requirements.txt").write_text("alpha==1.0\n")
    run(plane, tmp_path, "create", "scoring", "requirements.txt")
    assert "has all 1." in run(plane, tmp_path, "check", "scoring", "-e", str(python)).stderr
    (tmp_path / "requirements.txt").write_text("alpha>1\nbeta\n")
    lacking = run(plane, tmp_path, "check", "requirements.txt", "-e", str(tmp_path / "v"), "--json", code=3)
    assert [(each["package"], each["found"]) for each in json.loads(lacking.stdout)] == [("alpha", "1.0"), ("beta", None)]


def test_lock_needs_no_server(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0")
    (tmp_path / "requirements.txt").write_text("alpha\n")
    command = [sys.executable, "-m", "fairlead", "environment", "lock", "requirements.txt"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("alpha==1.0 \\\n    --hash=sha256:")
    subprocess.run([*command, "-o", "requirements.lock"], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "requirements.lock").read_text() == shown


BAD: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("create", "scoring", "nowhere.txt"), 2, "nowhere.txt cannot be read"),
    (("create", "scoring", "bad.txt"), 2, "bad.txt, line 2: an editable package"),
    (("create", "scoring", "missing.txt"), 3, "There is no package 'nowhere'"),
    (("create", "scoring", "good.txt", "--python", "2.7"), 2, "'2.7' is no Python version"),
    (("create", "scoring", "good.txt", "--tag", "x"), 2, "--tag 'x': write it as NAME=VALUE."),
    (("show", "none"), 2, "There is no environment 'none'"),
    (("show", "a:b"), 2, "'a:b' names no environment"),
    (("build", "none"), 2, "There is no environment 'none'"),
)


def test_what_cannot_be_done_is_one_sentence(plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("six\n-e .\n")
    (tmp_path / "good.txt").write_text("six\n")
    (tmp_path / "missing.txt").write_text("nowhere\n")
    for arguments, code, says in BAD:
        ended = run(plane, tmp_path, *arguments, code=code)
        assert says in ended.stderr, arguments
        assert "Traceback" not in ended.stderr


def run(plane: ControlPlane, folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fairlead", "environment", *arguments]
    ended = subprocess.run(command, cwd=folder, env={**plane.env, "COLUMNS": "200"}, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended

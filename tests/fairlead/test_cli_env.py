"""`fairlead env`: what is there and what is missing, with cures, exit codes, and a default that others keep."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from fairlead.client import connection
from fairlead.client.connection import Choice
from fairlead.sdk import machine
from fairlead.targets.docker import Engine, faults, find
from tests.containers import require_engine
from tests.local_home import LocalHome


def told(home: LocalHome, *arguments: str, env: dict[str, str] | None = None, code: int = 0) -> Any:
    done = home.fairlead("env", *arguments, "--json", env=env)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def check_of(answer: Any, name: str) -> Any:
    return next(each for each in answer["checks"] if each["name"] == name)


def test_show_says_what_is_there_and_starts_nothing(local_home: LocalHome) -> None:
    require_engine()
    answer = told(local_home, "show")
    assert (answer["target"], answer["server"], answer["can_run"]) == ("local", "local", ["local", "docker", "container"])
    assert "Docker" in check_of(answer, "engine")["said"]
    assert check_of(answer, "kubernetes")["is_there"] is False
    assert local_home.servers() == []


def test_show_fits_80_columns(local_home: LocalHome) -> None:
    done = local_home.fairlead("env", "show", env={"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "✗" in done.stdout
    assert "→" in done.stdout
    assert "local: processes" in done.stdout


@pytest.mark.parametrize("command", ["setup", "local"])
def test_without_an_engine_the_command_that_cures_it_is_named(local_home: LocalHome, tmp_path: Path, command: str) -> None:
    env = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = local_home.fairlead("env", command, "--target", "docker", env=env)
    assert done.returncode == 6
    said = done.stdout + done.stderr
    assert "There is no container engine" in said.replace("\n                   ", " ")
    assert "enable --now" in said or "apt-get install" in said
    assert told(local_home, "show", "--json")["target"] == "local"


def test_what_is_missing_is_listed_for_programs(local_home: LocalHome, tmp_path: Path) -> None:
    answer = told(local_home, "setup", "--target", "container", env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}, code=6)
    assert ([each["name"] for each in answer["missing"]], answer["ready"]) == (["engine"], False)
    assert told(local_home, "setup", "--target", "local", env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})["ready"] is True


def test_rights_are_told_from_absence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() == 0:
        monkeypatch.setattr(Engine, "about", _refused)  # root may enter every socket
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        found = next(each for each in machine.look({"DOCKER_HOST": f"unix://{path}"}) if each.name == "engine")
    assert (found.is_there, found.cure) == (False, "sudo usermod -aG docker $USER, then log in again")


def _refused(self: Engine) -> None:
    raise faults.unreachable(self.where, PermissionError(13, "Permission denied"))


def test_a_remote_engine_runs_single_containers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    require_engine()
    about = Engine(find()).about()
    monkeypatch.setattr(Engine, "about", lambda _self: about)
    checks = machine.look({"DOCKER_HOST": "ssh://somebody@elsewhere.example"})
    assert [each.name for each in machine.lacking(checks, "docker")] == ["engine is here"]
    assert machine.lacking(checks, "container") == []


def test_the_default_stays_when_a_server_is_chosen(local_home: LocalHome) -> None:
    assert told(local_home, "local", "--target", "docker", "--force", env={"DOCKER_HOST": "tcp://127.0.0.1:1"})["target"] == "docker"
    assert told(local_home, "show")["target"] == "docker"
    kept = local_home.folder / "config" / "config.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    done = local_home.fairlead("connect", "--local", "--workspace", "default")
    assert done.returncode == 0, done.stderr
    assert json.loads(kept.read_text()) == {"workspace": "default", "target": "docker"}
    assert told(local_home, "show", env={"FAIRLEAD_TARGET": "container"})["target"] == "container"
    assert told(local_home, "local")["target"] == "local"
    assert json.loads(kept.read_text()) == {"workspace": "default"}


def test_a_broken_file_is_written_anew_by_whoever_chooses_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text("{")
    connection.choose(Choice(workspace="a"))
    connection.choose_target("docker")
    assert (connection.default_target(), connection.configured_url()) == ("docker", None)


@pytest.mark.parametrize("arguments", [["cluster"], ["cluster", "-f", "-p", "8080"], ["setup", "-c"], ["setup", "--mesos"], ["local", "--target", "moon"]])
def test_what_there_is_not_is_refused_with_what_there_is(local_home: LocalHome, arguments: list[str]) -> None:
    done = local_home.fairlead("env", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "docker" in done.stderr


def test_a_full_disk_and_little_memory_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_free", lambda _folder: 1 << 20)
    monkeypatch.setattr(machine, "_memory_of", lambda: (1 << 30, 1 << 20))
    found = {each.name: each for each in machine.look({"DOCKER_HOST": "tcp://127.0.0.1:1"})}
    assert (found["disk"].is_there, "server gc" in found["disk"].cure) == (False, True)
    assert (found["memory"].is_there, found["memory"].targets) == (False, ())


def test_without_packages_the_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in {"docker", "fastapi", "envoy"} else real(name))
    monkeypatch.setenv("PATH", "")
    found = {each.name: each for each in machine.look({})}
    assert "lacks fastapi" in found["packages"].said
    assert found["packages"].cure == "pip install 'fairlead[server]'"
    assert found["engine library"].cure == "pip install 'fairlead[docker]'"
    assert found["router"].cure == "pip install 'fairlead[router]'"
    assert [each.name for each in machine.lacking(list(found.values()), "docker")] == ["packages", "engine library", "router"]

"""`fairlead server`: start, status, stop, logs and settings, as a person and a script use them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from fairlead.client import access, models
from fairlead.client.transport import Transport
from tests.control_plane import ControlPlane
from tests.fairlead.server.registry.given import registered, uploaded
from tests.live import FAIRLEAD
from tests.local_home import LocalHome
from tests.waiting import until


def asked(home: LocalHome, *arguments: str) -> Any:
    done = home.fairlead("server", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_server_is_started_looked_at_and_stopped(local_home: LocalHome) -> None:
    stopped = local_home.fairlead("server", "status")
    assert (stopped.returncode, stopped.stdout) == (6, "stopped\n")
    started = asked(local_home, "start", "--log-level", "debug")
    again = local_home.fairlead("server", "start", "--port", "1", "--quiet")
    assert (again.returncode, again.stdout) == (0, f"{started['url']}\n")
    status = asked(local_home, "status")
    assert (status["state"], status["url"], status["pid"]) == ("running", started["url"], started["pid"])
    last = local_home.fairlead("server", "logs", "--tail", "1")
    assert json.loads(last.stdout)["route"] == "/v1/livez"
    assert asked(local_home, "stop") == {"stopped": True}
    assert asked(local_home, "stop") == {"stopped": False}
    settings = {each["name"]: each for each in asked(local_home, "settings")}
    assert settings["log_level"]["source"] == str(local_home.state / "settings.json")


def test_a_server_in_the_foreground_ends_with_the_terminal(local_home: LocalHome) -> None:
    running = local_home.begin(FAIRLEAD, "server", "start", "--foreground")
    until((local_home.state / "server.json").exists, "the server to say where it is", timeout=60)
    running.send_signal(signal.SIGINT)
    for each in local_home.servers():
        each.send_signal(signal.SIGINT)  # a terminal tells the whole group
    running.communicate(timeout=30)
    assert running.returncode == 0
    assert local_home.servers() == []


def test_settings_show_no_password(local_home: LocalHome) -> None:
    done = local_home.fairlead("server", "settings", "--json", env={"FAIRLEAD_DATABASE_URL": "postgresql://ada:hidden@db/x", "FAIRLEAD_WORKERS": "2"})
    found = {each["name"]: (each["value"], each["source"]) for each in json.loads(done.stdout)}
    assert found["database_url"] == ("postgresql://ada:***@db/x", "FAIRLEAD_DATABASE_URL")
    assert found["workers"] == (2, "FAIRLEAD_WORKERS")


def test_what_start_cannot_do_is_a_sentence(local_home: LocalHome, tmp_path: Path) -> None:
    done = local_home.fairlead("server", "start", "--tls-cert", str(tmp_path / "cert.pem"))
    assert (done.returncode, "both --tls-cert and --tls-key" in done.stderr) == (6, True)
    assert not (local_home.state / "settings.json").exists()
    absent = local_home.fairlead("server", "logs")
    assert (absent.returncode, "There is no log" in absent.stderr) == (2, True)


def test_a_backup_moves_a_server_to_another_machine(local_plane: ControlPlane, local_home: LocalHome, tmp_path: Path) -> None:
    with local_plane.transport() as owner:
        registered(owner, "churn", tree=uploaded(owner, model="weights"))
        access.set_secret(owner, "password", "hidden")
    passphrase, backup = tmp_path / "passphrase", tmp_path / "backup.tar"
    passphrase.write_text("a phrase that nobody guesses")
    here = {"FAIRLEAD_HOME": str(local_plane.home)}
    made = local_home.fairlead("server", "backup", backup, "--with-key", "--passphrase-file", passphrase, "--json", env=here)
    assert json.loads(made.stdout)["with_key"] is True
    refused = local_home.fairlead("server", "restore", backup, "--force", env=here)
    assert (refused.returncode, local_plane.url in refused.stderr) == (3, True)
    restored = local_home.fairlead("server", "restore", backup, "--passphrase-file", passphrase, "--json")
    assert json.loads(restored.stdout)["key"] == "restored", restored.stderr
    started = asked(local_home, "start")
    with Transport(started["url"], (local_home.state / "owner.token").read_text().strip()) as owner:
        assert [each.path for each in models.each_file(owner, "churn:1")] == ["model"]
    assert local_home.fairlead("server", "fsck", "--deep").returncode == 0
    assert asked(local_home, "upgrade")["changed"] is False


@pytest.mark.needs("systemd-analyze")
def test_the_unit_is_one_that_systemd_takes(local_home: LocalHome, tmp_path: Path) -> None:
    unit = tmp_path / "fairlead.service"
    odd = local_home.folder.with_name("a home % with $odd letters")
    unit.write_text(local_home.fairlead("server", "install", "--print", env={"FAIRLEAD_HOME": str(odd)}).stdout)
    checked = local_home.run("systemd-analyze", "verify", "--user", unit, env={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert "fairlead" not in checked.stderr, checked.stderr
    assert f'Environment="FAIRLEAD_HOME={str(odd).replace("%", "%%")}"' in unit.read_text()


def test_installing_writes_the_unit_and_tells_systemd(local_home: LocalHome, tmp_path: Path) -> None:
    """A `systemctl` that only writes down what it is told: tests have no session of systemd."""
    heard, programs = tmp_path / "heard", tmp_path / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {heard}\n')
    (programs / "systemctl").chmod(0o700)
    env = {"PATH": f"{programs}:{local_home.env['PATH']}", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    unit = tmp_path / "config" / "systemd" / "user" / "fairlead.service"
    asked(local_home, "start")
    done = local_home.fairlead("server", "install", "--quiet", env=env)
    assert (done.returncode, done.stdout) == (0, f"{unit}\n")
    until(lambda: not local_home.servers(), "the server that ran to end")
    assert heard.read_text().splitlines()[-1] == "--user restart fairlead.service"
    unit.write_text("somebody else's")
    assert local_home.fairlead("server", "install", env=env).returncode == 2
    assert local_home.fairlead("server", "install", "--uninstall", env=env).returncode == 0
    assert not unit.exists()
    assert heard.read_text().splitlines()[-1] == "--user disable --now fairlead.service"

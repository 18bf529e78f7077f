"""The server that starts by itself: once, however many ask; replaced when it is older; never where it would break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from fairlead import __version__
from tests.local_home import LocalHome
from tests.waiting import until

CONNECT = "from fairlead.client.connection import connect; print(connect().url)"
MANY = 10


def told(home: LocalHome) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((home.state / "server.json").read_text())
    return answer


def pretend(home: LocalHome, **facts: str) -> None:
    (home.state / "server.json").write_text(json.dumps(told(home) | facts))


def test_many_processes_that_start_at_once_share_one_server(local_home: LocalHome) -> None:
    begun = [local_home.begin(sys.executable, "-c", CONNECT) for _ in range(MANY)]
    answers = [process.communicate(timeout=180) for process in begun]
    assert [process.returncode for process in begun] == [0] * MANY, answers
    assert {said for said, _ in answers} == {f"{told(local_home)['url']}\n"}
    assert len(local_home.servers()) == 1
    again = local_home.script(CONNECT)
    assert again.stdout == f"{told(local_home)['url']}\n"


def test_an_older_server_is_replaced_and_a_newer_one_is_kept(local_home: LocalHome) -> None:
    first = local_home.script(CONNECT)
    before = told(local_home)["pid"]
    pretend(local_home, version="99.0.0")
    assert local_home.script(CONNECT).stdout == first.stdout
    assert psutil.pid_exists(before)
    pretend(local_home, version="0.0.1")
    assert local_home.script(CONNECT).returncode == 0
    now = told(local_home)
    assert (now["version"], now["pid"] != before) == (__version__, True)
    assert [process.pid for process in local_home.servers()] == [now["pid"]]


def test_an_older_server_that_systemd_runs_is_not_fought_over(local_home: LocalHome) -> None:
    local_home.script(CONNECT)
    pretend(local_home, version="0.0.1", managed_by="systemd")
    before = told(local_home)
    assert local_home.script(CONNECT).stdout == f"{before['url']}\n"
    assert told(local_home)["pid"] == before["pid"]


def test_a_killed_server_is_started_again(local_home: LocalHome) -> None:
    local_home.script(CONNECT)
    os.kill(told(local_home)["pid"], signal.SIGKILL)
    assert local_home.script(CONNECT).returncode == 0
    assert len(local_home.servers()) == 1


def test_it_runs_under_the_interpreter_that_ran_it_first(local_home: LocalHome, tmp_path: Path) -> None:
    """Another environment's fairlead, started later, uses the first one's interpreter, even with a PYTHONPATH that would break it."""
    local_home.script(CONNECT)
    assert local_home.fairlead("server", "stop").returncode == 0
    linked = tmp_path / "other" / "python"
    linked.parent.mkdir()
    linked.symlink_to(sys.executable)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "fastapi.py").write_text("raise RuntimeError('somebody else's fastapi')")
    pin = json.loads((local_home.state / "interpreter.json").read_text())
    assert pin == {"python": sys.executable, "version": __version__}
    code = f"import sys; sys.executable = {str(linked)!r}; {CONNECT}"
    assert local_home.script(code, env={"PYTHONPATH": str(tmp_path / "broken")}).returncode == 0
    assert told(local_home)["python"] == sys.executable


@pytest.mark.parametrize("pinned", ["/nowhere/bin/python", "/bin/true"])
def test_a_pinned_interpreter_that_is_gone_or_no_use_is_given_up(local_home: LocalHome, pinned: str) -> None:
    local_home.state.mkdir(parents=True)
    (local_home.state / "interpreter.json").write_text(json.dumps({"python": pinned, "version": "99.0"}))
    done = local_home.script(CONNECT)
    assert done.returncode == 0, done.stderr
    assert json.loads((local_home.state / "interpreter.json").read_text())["python"] == sys.executable


def test_without_the_server_extra_it_says_what_to_install(local_home: LocalHome) -> None:
    done = _refused(local_home, "import sys; sys.modules['fastapi'] = None")
    assert "does not have (fastapi)" in done
    assert f"{sys.executable} -m pip install 'fairlead[server]'" in done


def test_a_read_only_home_is_a_sentence(local_home: LocalHome, tmp_path: Path) -> None:
    """HOME itself, without FAIRLEAD_HOME: on Linux the state folder is below it."""
    read_only = tmp_path / "read-only"
    read_only.mkdir(mode=0o500)
    code = f"try:\n {CONNECT}\nexcept Exception as error: print(type(error).__name__, error)"
    command = [sys.executable, "-c", code]
    if os.geteuid() == 0:  # root may write everywhere but on a file system that is read-only
        command = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o ro none {read_only} && exec "$@"', "sh", *command]
    env = {name: value for name, value in local_home.env.items() if name not in ("FAIRLEAD_HOME", "XDG_STATE_HOME")} | {"HOME": str(read_only)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("Unavailable The local server needs the folder"), done
    assert "set FAIRLEAD_HOME" in done.stdout


def test_a_server_that_cannot_start_says_why(local_home: LocalHome) -> None:
    local_home.state.mkdir(parents=True)
    (local_home.state / "fairlead.db").write_text("no database " * 100)
    assert "file is not a database" in _refused(local_home, "")


def test_a_server_that_hangs_is_named(local_home: LocalHome) -> None:
    local_home.script(CONNECT)
    process = local_home.servers()[0]
    process.suspend()
    try:
        assert f"process {process.pid}" in _refused(local_home, "")
    finally:
        process.resume()
    until(lambda: local_home.script(CONNECT).returncode == 0, "it to answer again")


def _refused(home: LocalHome, before: str) -> str:
    code = f"{before}\nfrom fairlead.errors import FairleadError\ntry:\n {CONNECT}\nexcept FairleadError as error: print('REFUSED', error)"
    done = home.script(code)
    assert done.stdout.startswith("REFUSED"), done.stderr
    return done.stdout


@pytest.mark.needs("openssl")
def test_a_local_server_with_a_certificate_of_its_own_is_trusted_by_that_file(local_home: LocalHome, tmp_path: Path) -> None:
    """Whatever name it is for: the server was found through a file of ours. What `start` was told holds for starts by themselves too."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=elsewhere.example"]
    subprocess.run([*made, "-keyout", key, "-out", cert], check=True, capture_output=True)
    started = local_home.fairlead("server", "start", "--tls-cert", cert, "--tls-key", key, "--quiet")
    assert started.stdout.startswith("https://127.0.0.1:"), started.stderr
    use = "from fairlead.client.connection import connect; from fairlead.client import access; print(access.show_me(connect()).is_admin)"
    assert local_home.script(use).stdout == "True\n"
    local_home.fairlead("server", "stop")
    again = local_home.script(use + "; print(connect().url)")
    assert again.stdout.startswith("True\nhttps://"), again.stderr

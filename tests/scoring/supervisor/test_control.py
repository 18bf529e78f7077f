"""The control socket: what it answers, that it is the owner's alone, and that it outlives its supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.live import RUNTIME, Launcher
from tests.scoring.supervisor.steered import Steered, said
from tests.waiting import until


@pytest.fixture
def steered(tmp_path: Path) -> Iterator[Steered]:
    one = Steered(tmp_path)
    yield one
    if one.socket.exists() and one.service.process.poll() is not None:  # another supervisor has taken over
        one.ask("stop")
        until(lambda: not one.service.processes(), "the service to end")


def test_status_says_what_serves_and_what_was_tried_last(serve: Launcher, steered: Steered) -> None:
    steered.write(1, generation=7, report="report.json")
    steered.start(serve, "--workers", "2")
    told = steered.ask("status")
    assert {name: told[name] for name in ("ok", "state", "revision", "generation", "workers", "port", "pid")} == {
        "ok": True, "state": "running", "revision": "r1", "generation": 7, "workers": {"ready": 2, "wanted": 2},
        "port": steered.service.port, "pid": steered.service.pid,
    }  # fmt: skip
    assert (told["last"]["serial"], told["last"]["outcome"], told["last"]["generation"]) == (1, "ok", 7)
    assert told["since"].endswith("Z")
    assert json.loads((steered.folder / "report.json").read_text()) == told["last"]
    status = steered.service.get("/status").json()
    assert (status["revision"], status["last"]["serial"], status["serving"]["generation"]) == ("r1", 1, 7)


def test_a_reload_is_answered_with_its_serial_and_its_outcome_follows(serve: Launcher, steered: Steered) -> None:
    steered.write(1)
    steered.start(serve)
    steered.write(2, generation=2)
    assert steered.ask("reload") == {"ok": True, "serial": 2}
    until(lambda: steered.ask("status")["last"]["outcome"] == "ok", "the reload")
    assert (steered.score(), steered.ask("status")["generation"]) == ([2, None], 2)
    (steered.folder / "score-3.py").write_text("import nothing_of_that_name\n")
    steered.write(3, generation=3)
    last = steered.reload()
    assert (last["outcome"], last["stage"], last["cause"], last["generation"]) == ("failed", "starting", "package-missing", 3)
    assert "nothing_of_that_name" in last["message"]
    assert any("Traceback" in line for line in last["log_lines"])
    assert (steered.score(), steered.ask("status")["revision"]) == ([2, None], "r2")


def test_the_socket_and_its_folder_are_the_owners_alone(serve: Launcher, steered: Steered) -> None:
    steered.write(1)
    steered.start(serve)
    assert (steered.socket.stat().st_mode & 0o777, steered.socket.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    steered.service.stop()
    assert not steered.socket.exists()


def test_a_folder_that_others_may_enter_is_refused(steered: Steered) -> None:
    steered.write(1, port=0)
    (steered.folder / "run").mkdir(mode=0o755)
    done = subprocess.run([*RUNTIME, "--options", str(steered.folder / "options.json")], capture_output=True, text=True, timeout=30)
    assert (done.returncode, "open to others" in done.stderr) == (3, True)


def test_a_path_that_is_too_long_is_refused(steered: Steered) -> None:
    steered.write(1, port=0, control=f"{'x' * 100}/s.sock")
    done = subprocess.run([*RUNTIME, "--options", str(steered.folder / "options.json")], capture_output=True, text=True, timeout=30)
    assert (done.returncode, "more than 100 bytes" in done.stderr) == (3, True)


def test_a_second_supervisor_of_the_same_service_is_refused_and_changes_nothing(serve: Launcher, steered: Steered) -> None:
    steered.write(1, report="report.json")
    steered.start(serve)
    before = (steered.folder / "report.json").read_text()
    done = subprocess.run([*RUNTIME, "--options", str(steered.folder / "options.json"), "--port", "0"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, "Another supervisor runs this service already" in done.stderr) == (3, True)
    assert steered.ask("status")["state"] == "running"
    assert (steered.folder / "report.json").read_text() == before


BROKEN = [b"\n", b"status\n", b"[]\n", b'{"do": []}\n', b'{"do": "fly"}\n', b'{"do": "' + b"\xff" * 10 + b'"}\n', b"[" * 50_000 + b"\n"]


@pytest.mark.parametrize("line", BROKEN)
def test_what_is_not_understood_is_answered_in_words(serve: Launcher, steered: Steered, line: bytes) -> None:
    steered.write(1)
    steered.start(serve)
    told = json.loads(said(steered.socket, line))
    assert told["ok"] is False
    assert told["message"]
    with contextlib.suppress(ConnectionResetError):
        assert said(steered.socket, b"x" * 200_000) == b"", "a line without an end ends the conversation"
    assert steered.ask("status")["pid"] == steered.service.pid


def test_several_lines_on_one_connection_and_callers_that_leave(serve: Launcher, steered: Steered) -> None:
    steered.write(1)
    steered.start(serve)
    fds = psutil.Process(steered.service.pid).num_fds()
    for _ in range(200):
        said(steered.socket, b'{"do": "status"}\n{"do": "status"}\n{"do"')
    until(lambda: psutil.Process(steered.service.pid).num_fds() <= fds + 1, "descriptors to be given back")


def test_stop_drains_and_asked_twice_it_is_one_end(serve: Launcher, steered: Steered) -> None:
    (steered.folder / "secrets").mkdir()
    (steered.folder / "secrets" / "a").write_text("hidden")
    steered.write(1, secrets="secrets")
    steered.start(serve)
    assert steered.ask("stop", forget_secrets=True) == {"ok": True}
    assert steered.service.wait_exit(20) == 0
    assert not (steered.folder / "secrets").exists()


def test_status_of_a_service_that_drains_is_answered_and_costs_no_request(serve: Launcher, steered: Steered) -> None:
    (steered.folder / "score-1.py").write_text(
        "import pathlib, time\n"
        "def init(): pass\n"
        "def run(data):\n"
        "    pathlib.Path('begun').touch()\n"
        "    while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        "    return 7\n"
    )
    steered.write(1, app_root=".", warmup=False)
    service = steered.start(serve)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.post, "/score", 1)
        until((steered.folder / "begun").exists, "the request to reach the script")
        assert steered.ask("stop") == {"ok": True}
        told = [steered.ask("status") for _ in range(3)]
        (steered.folder / "go").touch()
        assert {(one["ok"], one["state"], one["port"]) for one in told} == {(True, "stopping", service.port)}
        assert (answer.result().status, answer.result().json()) == (200, 7)
    assert service.wait_exit(20) == 0


def test_a_command_that_cannot_be_started_fails_the_reload_and_nothing_else(serve: Launcher, steered: Steered) -> None:
    steered.write(1)
    steered.start(serve)
    steered.write(2, prepare=["/no/such/command"])
    last = steered.reload()
    assert (last["outcome"], "/no/such/command cannot be started (No such file or directory)" in last["message"]) == ("failed", True)
    assert steered.score() == [1, None]


@pytest.mark.parametrize("how", ["its own re-exec", "killed"])
def test_the_socket_outlives_its_supervisor(serve: Launcher, steered: Steered, how: str) -> None:
    """Asked all the time, it never refuses; the lock is never free; reloads go on from where they were."""
    steered.write(1, generation=1)
    steered.start(serve)
    steered.write(2, generation=2)
    steered.reload()
    steered.write(3, limits={"waiting": 0.5})
    failed = steered.reload()
    before = steered.ask("status")
    if how == "killed":
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: steered.ask("status")["pid"] != before["pid"], "another supervisor to answer")
    else:
        front = steered.service.get("/status").json()["front_pid"]
        os.kill(before["pid"], signal.SIGUSR2)
        until(lambda: steered.ask("status")["ok"] and steered.service.get("/status").json()["front_pid"] != front, "the new front")
    after = steered.ask("status")
    assert {**after, "pid": 0} == {**before, "pid": 0}
    assert after["last"] == failed
    done = subprocess.run([*RUNTIME, "--options", str(steered.folder / "options.json"), "--port", "0"], capture_output=True, text=True, timeout=30)
    assert "at least" in done.stderr or "already" in done.stderr
    steered.write(4, generation=4, limits={}, environment={"MODE": "new"})
    assert steered.reload()["outcome"] == "ok"
    assert steered.score() == [4, "new"]
    assert steered.ask("status")["last"]["serial"] == 4


def test_a_supervisor_that_dies_during_a_reload_leaves_it_to_the_next(serve: Launcher, steered: Steered) -> None:
    steered.write(1)
    steered.start(serve)
    (steered.folder / "score-2.py").write_text("import time\ndef init(): time.sleep(1)\ndef run(data): return 2\n")
    steered.write(2, generation=2)
    steered.ask("reload")
    until(lambda: len(steered.service.get("/status").json()["workers"]) == 2, "the candidate to start")
    os.kill(steered.ask("status")["pid"], signal.SIGKILL)
    until(lambda: steered.ask("status")["generation"] == 2, "the next supervisor to bring it to its end")
    assert steered.score() == 2
    assert steered.ask("status")["last"]["outcome"] == "ok"

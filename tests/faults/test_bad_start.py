"""R8: what cannot start says why and ends; a reload to it leaves the old version serving."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests.faults.scripts import same_tag, versioned
from tests.faults.subject import Subjects
from tests.live import RUNTIME, Launcher
from tests.traffic import Plan, Traffic
from tests.waiting import until

BROKEN = {
    "a syntax error": ("def init(:\n    pass\n", "score.py"),
    "a missing import": ("import no_such_module_at_all\ndef init(): pass\ndef run(data): return 1\n", "no_such_module_at_all"),
    "no run": ("def init(): pass\n", "run"),
    "init raises": ("def init(): raise RuntimeError('the weights are gone')\ndef run(data): return 1\n", "the weights are gone"),
    "init ends the process": ("import sys\ndef init(): sys.exit(0)\ndef run(data): return 1\n", "sys.exit"),
    "init dies": ("import os\ndef init(): os._exit(7)\ndef run(data): return 1\n", "exited with 7"),
    "run takes anything": ("def init(): pass\ndef run(*data): return 1\n", "*"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_script_that_cannot_start_ends_the_service_with_3_and_the_cause(subject: Subjects, name: str) -> None:
    script, cause = BROKEN[name]
    service = subject(script, ready=False)
    assert service.service.wait_exit() == 3, service.log_text()
    assert cause in service.log_text()


@pytest.mark.parametrize("name", ["a syntax error", "a missing import", "init raises", "init dies"])
def test_a_reload_to_a_broken_script_leaves_the_old_one_serving_and_says_why(subject: Subjects, name: str) -> None:
    script, cause = BROKEN[name]
    service = subject(versioned(1), workers=2)
    workers, revision = service.workers(), service.status()["revision"]
    with Traffic(Plan(port=service.port, rate=100, check=same_tag, seconds=60)) as traffic:
        service.write(script)
        service.hang_up()
        until(lambda: service.status()["reason"], "the reason in /status")
        status = service.status()
        until(lambda: len(service.status()["workers"]) == 2, "the failed workers to be gone")
    assert not traffic.record().failed(), traffic.record().explain()
    assert traffic.record().revisions() == {revision}
    assert service.workers() == workers
    assert cause in status["reason"], status["reason"]
    assert cause in service.log_text()
    service.reload(versioned(2))
    assert service.service.post("/score", {"tag": 1}).json()["version"] == 2
    assert service.status()["reason"] == ""


def test_a_taken_port_is_named_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(versioned(1))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*RUNTIME, "--entry-script", "score.py", "--app-root", str(tmp_path), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_file_that_cannot_be_written_is_named(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(versioned(1))
    service = serve("--entry-script", "score.py", "--app-root", tmp_path, "--log-file", tmp_path / "no" / "such" / "file", ready=False)
    assert service.wait_exit() == 3
    assert "no/such/file" in service.log.read_text()


def test_a_crash_loop_is_slowed_down_and_ends_when_the_cause_is_gone(subject: Subjects) -> None:
    """The worker dies at every request: it comes back each time, later and later, and the service itself stays up."""
    script = 'import json, os\ndef init(): pass\ndef run(data):\n    if json.loads(data)["tag"] == 0: os._exit(1)\n    return {"tag": 1}\n'
    service = subject(script)
    for _ in range(3):
        answer = service.service.post("/score", json.dumps({"tag": 0}))
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        service.service.wait_ready()
    assert service.service.post("/score", {"tag": 1}).json() == {"tag": 1}
    assert service.status()["restarts"] == 3

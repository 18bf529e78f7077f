"""The driver that the other tests lean on: it must see what it claims to see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import Launcher
from tests.waiting import until

DUMMY = """
import http.server, json, os, subprocess, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-Twice", "1")
        self.send_header("X-Twice", "2")
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path}).encode())

    def log_message(self, *words):
        print(json.dumps({"path": self.path}), flush=True)

if "--leave-child" in sys.argv:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
if "--fail" in sys.argv:
    sys.exit("No model here.")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
"""


@pytest.fixture
def dummy(tmp_path: Path) -> tuple[str | Path, ...]:
    script = tmp_path / "dummy.py"
    script.write_text(DUMMY)
    return (sys.executable, script)


def test_speaks_http_and_reads_the_log(serve: Launcher, dummy: tuple[str | Path, ...]) -> None:
    service = serve(command=dummy)
    reply = service.get("/somewhere")
    assert (reply.status, reply.json(), reply.headers["x-twice"]) == (200, {"path": "/somewhere"}, "1, 2")
    assert "/somewhere" in service.wait_log("somewhere")
    assert {"path": "/somewhere"} in service.records
    service.stop()
    assert not service.processes()


def test_tells_why_a_service_did_not_start(serve: Launcher, dummy: tuple[str | Path, ...]) -> None:
    with pytest.raises(AssertionError, match=r"exit code 1(.|\n)*No model here"):
        serve("--fail", command=dummy)


def test_finds_and_ends_a_process_left_behind(tmp_path: Path, dummy: tuple[str | Path, ...]) -> None:
    launcher = Launcher(tmp_path)
    service = launcher("--leave-child", command=dummy)
    service.left_behind_timeout = 0.2
    with pytest.raises(AssertionError, match="to end with it"):
        launcher.end()
    until(lambda: not service.processes(), "the child to be gone")  # SIGKILL is not instant


@pytest.mark.parametrize(("in_ci", "processes"), [(False, "0"), (True, "0"), (True, "2")])
def test_a_skip_is_named_here_and_a_failure_in_ci(tmp_path: Path, repository: Path, in_ci: bool, processes: str) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_one.py").write_text(
        "import pytest\n"
        "@pytest.mark.needs('no_such_tool')\ndef test_marked(): pass\n"
        "def test_hidden(): pytest.importorskip('no_such_tool')\n"
        "@pytest.mark.xfail(strict=True)\ndef test_expected(): assert False\n"
    )
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        processes,
        "-p",
        "no:cacheprovider",
        "-c",
        repository / "pyproject.toml",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(repository)} | ({"FAIRLEAD_CI": "1"} if in_ci else {})
    shown = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path).stdout
    assert shown.splitlines()[-1].startswith("1 failed, 1 xfailed, 1 error" if in_ci else "2 skipped, 1 xfailed"), shown
    assert "needs no_such_tool" in shown

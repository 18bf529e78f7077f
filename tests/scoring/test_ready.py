"""`python -m fairlead_scoring ready`: what a container's health check runs."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.live import Launcher

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"
READY = (sys.executable, "-m", "fairlead_scoring", "ready")


def test_tells_a_service_that_is_ready_from_none(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    service = serve("--entry-script", tmp_path / "score.py")
    assert probe(str(service.port)) == (0, "")
    service.stop()
    code, said = probe(str(service.port))
    assert code == 1
    assert said.startswith("not ready: ")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"", b"hello\r\n"])
def test_any_other_answer_is_not_ready(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=say)
        thread.start()
        code, said = probe(str(server.getsockname()[1]))
        thread.join()
    assert (code, said.startswith("not ready: ")) == (1, True)


@pytest.mark.parametrize("port", ["nine", "-1", "99999999", ""])
def test_what_is_no_port_is_not_ready(port: str) -> None:
    assert probe(port)[0] == 1


def probe(port: str) -> tuple[int, str]:
    done = subprocess.run([*READY, port], capture_output=True, text=True)
    return done.returncode, done.stderr.strip()

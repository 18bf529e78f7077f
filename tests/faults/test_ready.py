"""What the log calls ready can score: whoever waits for that line, a person or a program, is answered."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.live import Launcher

SLOW_FRONT = "import sys, time\nif 'front' in sys.orig_argv:\n    time.sleep(0.7)\n"


def test_ready_is_said_when_the_front_can_score_too(serve: Launcher, tmp_path: Path) -> None:
    """A worker without a model is up before the front is. The supervisor is stopped, so that it cannot make its word true afterwards."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_FRONT)
    script = tmp_path / "score.py"
    script.write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    service = serve("--entry-script", script, env={"PYTHONPATH": str(tmp_path)}, ready=False)
    service.wait_log("Ready.")
    os.kill(service.pid, signal.SIGSTOP)
    try:
        assert service.get("/").status == 200
    finally:
        os.kill(service.pid, signal.SIGCONT)


def test_what_needs_the_script_is_503_until_it_is_loaded(serve: Launcher, tmp_path: Path) -> None:
    script, go = tmp_path / "score.py", tmp_path / "go"
    script.write_text(
        f"import os, time\n\n\ndef init():\n    while not os.path.exists('{go}'):\n        time.sleep(0.02)\n\n\ndef run(data):\n    return data\n"
    )
    service = serve("--entry-script", script, ready=False)
    service.wait_log("Listening")
    for path in ("/", "/readyz", "/score", "/sample", "/docs", "/swagger.json", "/openapi.json", "/v2/models/score"):
        reply = service.get(path)
        assert (path, reply.status, reply.headers.get("retry-after")) == (path, 503, "2")
    assert service.get("/livez").status == 200
    go.touch()
    assert service.wait_ready().get("/").status == 200

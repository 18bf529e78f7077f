"""What `fairlead serve` refuses before it starts anything, and which port it takes."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from fairlead.cli import serve as command
from tests.live import CLI, Launcher

SCRIPT = 'import os\n\ndef init():\n    open(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "model"))\n\ndef run(data):\n    return data\n'


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "score.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--model-dir", "nowhere"], 2, "fairlead: The model folder nowhere does not exist. Name an existing one with --model-dir.\n"),
        (["--workers", "0"], 2, "--workers 0: at least one worker is needed.\n"),
        (["--host", "192.0.2.1"], 3, "Cannot listen on 192.0.2.1:5001 (Cannot assign requested address); name an address of this machine with --host.\n"),
    ],
)
def test_refuses(script: Path, options: list[str], code: int, sentence: str) -> None:
    done = subprocess.run([*CLI, script, *options], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.splitlines(keepends=True)[-1:]) == (code, [sentence])


def test_a_script_that_misses_its_model_folder_is_told_the_option(serve: Launcher, script: Path) -> None:
    service = serve(script, command=CLI, ready=False)
    assert service.wait_exit() == 3
    assert service.wait_log("AZUREML_MODEL_DIR is not set; name the model's folder with --model-dir.")


def test_takes_a_free_port_when_its_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(command, "PORT", taken.getsockname()[1])
        port = command._port("127.0.0.1", None)
    assert port not in (0, command.PORT)
    with socket.create_server(("127.0.0.1", port)):
        pass


@pytest.mark.needs("pyspark")
def test_a_script_that_starts_spark_without_java_is_told_what_to_install(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(
        "from pyspark.sql import SparkSession\n\ndef init():\n    SparkSession.builder.getOrCreate()\n\ndef run(data):\n    return data\n"
    )
    service = serve(tmp_path / "score.py", command=CLI, ready=False, env={"JAVA_HOME": "/nowhere"})
    assert service.wait_exit() == 3
    assert service.wait_log("Spark needs Java 17, and JAVA_HOME is /nowhere, where no bin/java is. Install it")

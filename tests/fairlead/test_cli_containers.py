"""Services in containers, from the command to the answer: a real server, a real engine, the router's Envoy."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import Workspace
from tests.containers import require_base, require_engine
from tests.deploying import Shell
from tests.needs import require

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def engine(ws: Workspace) -> Iterator[None]:
    """Leaves no image of this workspace behind; its services end with the workspace."""
    require_engine()
    require_base()
    require("envoy", "docker")
    yield
    for service in ws.webservices.values():
        service.delete()
    listed = subprocess.run(["docker", "images", "-q", f"fairlead/{ws.name}/*"], capture_output=True, text=True, check=True).stdout.split()
    for image in set(listed):
        subprocess.run(["docker", "rmi", "-f", image], capture_output=True)


@pytest.mark.parametrize("target", ["docker", "container"])
def test_a_model_is_deployed_into_a_container_and_updated(shell: Shell, echo: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "m.bin").write_bytes(b"m")
    done = shell("deploy", "m.bin", "-f", "score.py", "-n", "echo", "--target", target, "--sample", "sample.json", "--env", "GREETING=hi", "--set", "cpu=1")
    assert done.code == 0, done.err
    assert "building image" in done.err
    assert "No effect" not in done.err
    shown = json.loads(shell.ok("service", "show", "echo", "--json"))
    assert (shown["state"], shown["target"], shown["settings"]["cpu"]) == ("Healthy", target, 1.0)
    assert json.loads(shell.ok("service", "run", "echo")) == {"echo": {"x": 1}, "greeting": "hi"}
    name, _, digest = shown["image"].partition("@sha256:")
    assert json.loads(shell.ok("image", "show", name, "--json"))["digest"] == digest
    echo.write_text(echo.read_text().replace('"echo"', '"said"'))
    shell.ok("service", "reload", "echo")
    assert json.loads(shell.ok("service", "run", "echo")) == {"said": {"x": 1}, "greeting": "hi"}
    assert "echo:2@sha256:" in shell.ok("service", "show", "echo")
    shell.ok("service", "rollback", "echo")
    assert json.loads(shell.ok("service", "run", "echo"))["echo"] == {"x": 1}
    usage = shell.ok("image", "usage", "echo:1").splitlines()
    assert [line.split()[:4] for line in usage[1:3]] == [["echo", "3", target, "running"], ["echo", "1", target, "replaced"]]
    shell.ok("service", "delete", "echo")
    assert shell.ok("image", "prune", "--keep", "0", "--quiet").split() == ["echo:2", "echo:1"]

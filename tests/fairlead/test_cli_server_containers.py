"""`fairlead server` beside services in containers, on a real engine: they outlive it, and what nobody wants any more is found and cleared up."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fairlead.routers.envoy import EnvoyRouter
from fairlead.server.db import Database
from tests.containers import require_base, require_engine
from tests.deploying import ECHO
from tests.fairlead.targets.bench import ask
from tests.local_home import LocalHome

pytestmark = pytest.mark.engine

LABEL = "label=ai.fairlead.installation"


@pytest.fixture
def home(local_home: LocalHome) -> Iterator[LocalHome]:
    """Of the engine, nothing of its installation is left."""
    require_engine()
    try:
        yield local_home
    finally:
        EnvoyRouter(local_home.state / "router").end()
        for found in containers(local_home):
            subprocess.run(["docker", "rm", "--force", "--volumes", found], capture_output=True)
        for volume in listed("volume", "ls", "--filter", f"{LABEL}={installation(local_home)}"):
            subprocess.run(["docker", "volume", "rm", volume], capture_output=True)
        for mark in (local_home.state / "docker" / "images").glob("*.json"):
            subprocess.run(["docker", "rmi", f"sha256:{mark.stem}"], capture_output=True)


def listed(*command: str) -> list[str]:
    return subprocess.run(["docker", *command, "-q"], capture_output=True, text=True, check=True).stdout.split()


def installation(home: LocalHome) -> str:
    path = home.state / "docker" / "installation"
    return path.read_text().strip() if path.exists() else "none"


def containers(home: LocalHome) -> list[str]:
    return listed("ps", "-a", "--filter", f"{LABEL}={installation(home)}")


def asked(home: LocalHome, *arguments: str, code: int = 0) -> Any:
    done = home.fairlead(*arguments, "--json", env={"FAIRLEAD_IMAGE_BASE": str(require_base()), "FAIRLEAD_KEEP_CACHES_DAYS": "0"})
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_services_in_containers_outlive_the_server_and_leave_nothing(home: LocalHome, tmp_path: Path) -> None:
    (tmp_path / "echo_outliving.py").write_text(f"{ECHO}\n# {tmp_path}\n")  # an image of its own: others use the engine, too
    service = asked(home, "deploy", "-f", str(tmp_path / "echo_outliving.py"), "-n", "outliving", "--target", "docker", "--auth", "none")
    port = int(service["scoring_uri"].split(":")[2].partition("/")[0])
    running = asked(home, "server", "status")
    assert (running["state"], running["engine"], running["router"]["running"]) == ("running", {"answers": True, "message": ""}, True)
    route = {"handle": service["handle"], "address": f"127.0.0.1:{port}", "live": True, "message": ""}
    assert running["router"]["routes"] == [route]

    assert asked(home, "server", "stop") == {"stopped": True}
    stopped = asked(home, "server", "status", code=6)
    assert (stopped["state"], stopped["engine"]["answers"], stopped["router"]) == ("stopped", True, {"running": True, "routes": [route]})
    assert f"router: runs; {service['handle']} at 127.0.0.1:{port}" in home.fairlead("server", "status").stderr
    assert ask(port, "/score", {"a": 1}).status == 200
    assert asked(home, "server", "fsck") == []
    assert asked(home, "server", "gc")["images"] == 0

    _orphaned(home)
    found = asked(home, "server", "fsck", code=1)
    assert [each["what"] for each in found if each["what"] == "workload-unwanted"] == ["workload-unwanted"]
    assert asked(home, "server", "fsck", "--repair")[-1]["repaired"] is True
    assert (containers(home), listed("volume", "ls", "--filter", f"{LABEL}={installation(home)}")) == ([], [])
    assert asked(home, "server", "status", code=6)["router"]["routes"] == []
    (mark,) = (home.state / "docker" / "images").glob("*.json")
    os.utime(mark, (0, 0))
    assert asked(home, "server", "gc", "--dry-run")["images"] == 1
    assert asked(home, "server", "gc")["images"] == 1
    assert subprocess.run(["docker", "image", "inspect", f"sha256:{mark.stem}"], capture_output=True).returncode != 0
    assert not (home.state / "docker" / service["handle"]).exists(), "its log and what was known of it"


def _orphaned(home: LocalHome) -> None:
    """As after a restored backup: the rows say that it was deleted, and it runs."""
    database = Database(f"sqlite:///{home.state}/fairlead.db", called="fairlead test")
    with database.writing() as session:
        session.execute(text("UPDATE services SET deleted_at = '2026-01-01 00:00:00.000000'"))
    database.close()

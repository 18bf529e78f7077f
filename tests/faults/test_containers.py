"""A control plane whose service runs in containers: updates, its own death half-way, scaling and the end, under steady traffic."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.schemas.services import NewService, ServiceChange, ServiceState, Settings
from tests.containers import require_base, require_engine
from tests.control_plane import ControlPlane, ControlPlanes
from tests.fairlead.server.services.desk import deployed, settled, upload_script
from tests.faults.scripts import same_tag, versioned
from tests.faults.test_services import asking, port_of
from tests.traffic import Plan, Traffic
from tests.waiting import until

pytestmark = pytest.mark.engine

NAME = f"churn-{uuid.uuid4().hex[:8]}"  # the engine knows images by it, and is shared


@pytest.fixture
def plane(control_planes: ControlPlanes) -> Iterator[ControlPlane]:
    require_engine()
    started = control_planes(env={"FAIRLEAD_IMAGE_BASE": str(require_base())})
    try:
        yield started
    finally:
        started.stop()
        _remove(started)


@pytest.fixture
def owner(plane: ControlPlane) -> Iterator[Transport]:
    with plane.transport() as transport:
        yield transport


def test_a_service_in_containers_loses_nothing_while_it_changes_and_its_server_dies(plane: ControlPlane, owner: Transport, tmp_path: Path) -> None:
    wish = NewService(name=NAME, code=upload_script(owner, tmp_path / "0", versioned(0)), target="docker", settings=Settings(memory_gb=0.5))
    service = deployed(owner, wish)
    key = services.show_keys(owner, NAME).primary
    with Traffic(Plan(port=port_of(service), rate=50, connections=8, ask=lambda tag: asking(key, tag), check=same_tag, seconds=1000)) as traffic:
        services.change_service(
            owner, NAME, ServiceChange(code=upload_script(owner, tmp_path / "1", "def init():\n    1 / 0\n\n\ndef run(data):\n    return 1\n"))
        )
        failed = settled(owner, NAME, timeout=150)
        assert failed.update_error is not None
        assert (failed.revision, failed.update_error.cause) == (1, "init-raised")
        services.change_service(owner, NAME, ServiceChange(settings=Settings(replicas=2)))
        assert settled(owner, NAME, timeout=150).workers_ready == 2
        services.change_service(owner, NAME, ServiceChange(code=upload_script(owner, tmp_path / "2", versioned(2, load=2.0))))
        until(lambda: len(_containers(plane)) > 2, "the update to be half way", timeout=150)
        plane.kill()
        plane.restart()
        with plane.transport() as again:
            after = settled(again, NAME, timeout=150)
            assert (after.state, after.update_error, after.port) == (ServiceState.HEALTHY, None, service.port)
            until(lambda: len(_containers(plane)) == 2, "the old ones to be removed", timeout=150)
    record = traffic.record()
    assert not record.failed(), record.explain()
    with plane.transport() as again:
        services.delete_service(again, NAME)
        until(lambda: not _containers(plane), "all to be gone", timeout=150)


def _containers(plane: ControlPlane) -> list[str]:
    return _docker("ps", "--all", "--quiet", "--no-trunc", "--filter", _label(plane))


def _remove(plane: ControlPlane) -> None:
    if (plane.state / "docker" / "installation").exists():
        images = _docker("images", "--format", "{{.Repository}}:{{.Tag}}", f"--filter=reference=fairlead/*/{NAME}")
        for command, found in (("rm", _containers(plane)), ("volume rm", _docker("volume", "ls", "--quiet", "--filter", _label(plane))), ("image rm", images)):
            if found:
                _docker(*command.split(), "--force", *found)


def _label(plane: ControlPlane) -> str:
    return f"label=ai.fairlead.installation={(plane.state / 'docker' / 'installation').read_text()}"


def _docker(*arguments: str) -> list[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True).stdout.split()

"""Services whose configuration has Dockerfile steps, or a Dockerfile: the engine builds, and the image is kept like any other. In a real engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from fairlead.client import images, services
from fairlead.images.archive import docker_archive
from fairlead.schemas.bases import BaseWish, DockerfileWish
from fairlead.schemas.services import NewService, Service, ServiceChange, ServiceState
from fairlead.testing.targets import FakeTarget
from tests.containers import require_engine
from tests.fairlead.images.contexts import BASE_IMAGE, Engine, load_base
from tests.fairlead.server.registry.given import registered, uploaded
from tests.fairlead.server.services.desk import Desk, deployed, settled, upload_script
from tests.waiting import until

pytestmark = pytest.mark.engine

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return open('/made').read()\n"
STEPS = DockerfileWish(extra_steps="RUN echo by-a-step > /made\nCOPY words.txt /words\n")


@pytest.fixture
def engine() -> Iterator[Engine]:
    require_engine()
    load_base()
    made = Engine()
    yield made
    made.end()


@pytest.fixture
def allowed() -> str:
    return "allow"


@pytest.fixture
def desk(tmp_path: Path, allowed: str) -> Iterator[Desk]:
    database = f"sqlite:///{tmp_path / 'fairlead.db'}"
    started = Desk(tmp_path / "desk", database, FakeTarget(), cache=tmp_path / "cache", on=("local", "docker"), dockerfile_builds=allowed).start()
    try:
        yield started
    finally:
        started.stop()


def deploy(desk: Desk, tmp_path: Path, dockerfile: DockerfileWish, base: str | None = BASE_IMAGE) -> Service:
    registered(desk.owner, "churn")
    code = upload_script(desk.owner, tmp_path / "code", SCRIPT, **{"words.txt": "hello"})
    wish = NewService(name="churn", models=["churn:1"], code=code, target="docker", dockerfile=dockerfile)
    return deployed(desk.owner, wish if base is None else wish.model_copy(update={"base": BaseWish(image=base)}))


def test_steps_are_run_by_the_engine_and_the_image_is_recorded(engine: Engine, desk: Desk, tmp_path: Path) -> None:
    service = deploy(desk, tmp_path, STEPS)
    assert service.state is ServiceState.HEALTHY, service.message
    (listed,) = images.each(desk.owner)
    (platform,) = images.show(desk.owner, listed.id).platforms
    kinds = [each.what for each in platform.layers]
    assert list(dict.fromkeys(kinds))[:6] == ["base", "environment", "steps", "runtime", "code", "models"]
    assert (listed.base, listed.state) == (BASE_IMAGE, "ready")
    assert desk.target.applied[-1].image is not None
    assert "fairlead-build" not in subprocess.run(["docker", "images"], capture_output=True, text=True, check=True).stdout
    tag = engine.tag()
    loading = subprocess.Popen(["docker", "load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    loading.communicate(b"".join(docker_archive(desk.context.store, platform.manifest, tag)))
    assert engine.docker("image", "inspect", "--format", "{{.Id}}", tag).strip() == f"sha256:{platform.config}"
    with engine.running(tag) as address:
        assert scored(address) == "by-a-step\n"
    assert engine.docker("run", "--rm", tag, "/bin/cat", "/words") == "hello"


def test_another_model_is_built_with_the_same_steps(engine: Engine, desk: Desk, tmp_path: Path) -> None:
    deploy(desk, tmp_path, STEPS)
    registered(desk.owner, "churn", tree=uploaded(desk.owner, **{"model.txt": "another"}))
    services.change_service(desk.owner, "churn", ServiceChange(models=["churn:2"]))
    service = settled(desk.owner, "churn")
    assert (service.state, service.revision) == (ServiceState.HEALTHY, 2)
    first, second = sorted((images.show(desk.owner, each.id) for each in images.each(desk.owner)), key=lambda each: each.version or 0)
    others = {each.digest for each in first.platforms[0].layers} ^ {each.digest for each in second.platforms[0].layers}
    assert len(others) == 2, "the model's layer, old and new"
    assert engine.tags == []


def test_a_dockerfile_is_the_base(engine: Engine, desk: Desk, tmp_path: Path) -> None:
    service = deploy(desk, tmp_path, DockerfileWish(base_dockerfile=f"FROM {BASE_IMAGE}\nRUN echo theirs > /made\n"), base=None)
    assert service.state is ServiceState.HEALTHY, service.message
    (listed,) = images.each(desk.owner)
    assert listed.base == "a Dockerfile"
    assert engine.tags == []


def test_a_step_that_fails_fails_the_service_with_its_lines(engine: Engine, desk: Desk, tmp_path: Path) -> None:
    service = deploy(desk, tmp_path, DockerfileWish(extra_steps="RUN echo what-went-wrong && exit 3"))
    assert service.state is ServiceState.FAILED
    assert service.update_error is not None
    assert (service.update_error.stage, service.update_error.cause) == ("image", "image-build")
    assert "what-went-wrong" in "\n".join(service.update_error.log_lines)
    assert engine.tags == []


@pytest.mark.parametrize("allowed", ["", "deny"])
def test_a_server_that_may_not_build_says_so(desk: Desk, tmp_path: Path, allowed: str) -> None:
    service = deploy(desk, tmp_path, STEPS)
    assert service.state is ServiceState.FAILED
    assert service.update_error is not None
    assert "--dockerfile-builds allow" in service.update_error.message
    assert allowed != "allow"


def scored(address: str) -> object:
    def ready() -> bool:
        try:
            return httpx2.get(f"{address}/readyz", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    until(ready, "the container to be ready")
    return httpx2.post(f"{address}/score", json={"data": [1]}, trust_env=False).json()

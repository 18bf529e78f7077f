"""Images and services: what a target is told that runs images, who uses one, and what is cleared up. On a target without containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import AciWebservice
from fairlead.client import images, models, services
from fairlead.errors import InUse, NotFound, UsageError
from fairlead.images.signing_keys import generate_key_pair
from fairlead.schemas.images import NewSignature, Pruning
from fairlead.schemas.services import NewService, ServiceChange, ServiceState, Settings
from fairlead.sdk import deploying, signing
from fairlead.targets.types import Resources
from fairlead.testing.targets import FakeTarget
from tests.containers import require_base
from tests.fairlead.server.images.given import built, script
from tests.fairlead.server.registry.given import registered, uploaded
from tests.fairlead.server.services.desk import Desk, deployed, events_of, settled


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture(scope="session")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers, packed and put into a store once for all tests here."""
    return tmp_path_factory.mktemp("image-cache")


@pytest.fixture
def desk(database_url: str, tmp_path: Path, target: FakeTarget, image_cache: Path) -> Iterator[Desk]:
    """On SQLite and on PostgreSQL; its base is that of the tests."""
    on = ("local", "docker", "container")
    started = Desk(tmp_path / "desk", database_url, target, cache=image_cache, store=image_cache / "store", on=on, image_base=str(require_base())).start()
    try:
        yield started
    finally:
        started.stop()


def test_a_service_on_an_image_target_is_put_into_an_image(desk: Desk, target: FakeTarget) -> None:
    registered(desk.owner, "churn")
    settings = Settings(cpu=0.5, memory_gb=2.0, gpu=1, replicas=2)
    service = deployed(desk.owner, NewService(name="churn-eu", models=["churn:1"], code=script(desk.owner), target="docker", settings=settings))
    assert (service.state, service.target, service.revision) == (ServiceState.HEALTHY, "docker", 1)
    told = target.applied[-1]
    (image,) = images.each(desk.owner)
    found = images.show(desk.owner, image.id)
    assert told.image is not None
    assert (told.image.name, told.image.digest, told.image.id) == ("fairlead/default/churn-eu:1", found.digest, found.platforms[0].config)
    assert told.image.size == sum(layer.size for layer in found.platforms[0].layers), "an engine that loads it says how much it has, in percent"
    assert (told.resources.cpu, told.resources.memory, told.resources.gpu, told.bundle, told.python) == (0.5, 2 << 30, 1, None, None)
    assert service.image == f"churn-eu:1@sha256:{found.digest}"
    assert [each.image for each in services.list_revisions(desk.owner, "churn-eu")] == [service.image]
    stages = list(dict.fromkeys(events_of(desk.owner, "churn-eu")))
    assert stages == ["deploy", "packaging", "environment", "image", "starting", "proving", "running"]
    assert not list((desk.context.settings.cache_dir / "environments").glob("*/bin")), "no environment was built on this machine"


def test_a_change_of_settings_runs_the_same_image(desk: Desk, target: FakeTarget) -> None:
    deployed(desk.owner, NewService(name="churn", code=script(desk.owner), target="container"))
    first = target.applied[-1].image
    services.change_service(desk.owner, "churn", ServiceChange(settings=Settings(replicas=3)))
    assert settled(desk.owner, "churn").revision == 2
    assert target.applied[-1].image == first
    services.change_service(desk.owner, "churn", ServiceChange(code=script(desk.owner, 2)))
    assert settled(desk.owner, "churn").revision == 3
    assert target.applied[-1].image != first
    services.roll_back_service(desk.owner, "churn", 2)
    assert settled(desk.owner, "churn").revision == 4
    assert target.applied[-1].image == first
    assert [each.reference for each in images.each(desk.owner)] == ["churn:2", "churn:1"]


def test_an_image_that_was_packaged_is_found_again(desk: Desk) -> None:
    image = built(desk.owner, name="packaged")
    service = deployed(desk.owner, NewService(name="live", models=["churn:1"], code=script(desk.owner), target="docker"))
    assert service.image == f"packaged:1@sha256:{image.digest}"
    assert len(list(images.each(desk.owner))) == 1


@pytest.mark.parametrize("on", ["local", "docker"])
def test_what_an_image_holds_is_deployed_on_any_target(desk: Desk, target: FakeTarget, on: str) -> None:
    image = built(desk.owner, name="packaged")
    models.delete_version(desk.owner, "churn:1")
    service = deployed(desk.owner, NewService(name="live", image="packaged:1", target=on))  # type: ignore[arg-type]  # one of them
    assert (service.models, service.image) == (["churn:1"], f"packaged:1@sha256:{image.digest}")
    told = target.applied[-1]
    assert (told.image is not None, told.bundle is not None) == (on == "docker", on == "local")
    with pytest.raises(UsageError, match="leave out models"):
        services.deploy_service(desk.owner, NewService(name="other", image="packaged:1", models=["churn:1"]))
    with pytest.raises(NotFound):
        services.deploy_service(desk.owner, NewService(name="other", image="packaged:7"))


def test_a_service_is_updated_to_another_image(desk: Desk, target: FakeTarget) -> None:
    built(desk.owner, name="packaged")
    second = built(desk.owner, name="packaged", models=["churn:1"], code=script(desk.owner, 2))
    deployed(desk.owner, NewService(name="live", image="packaged:1", target="docker"))
    services.change_service(desk.owner, "live", ServiceChange(image="packaged:2"))
    assert settled(desk.owner, "live").image == f"packaged:2@sha256:{second.digest}"
    assert target.applied[-1].image is not None
    assert target.applied[-1].image.digest == second.digest


def test_what_a_service_runs_is_neither_deleted_nor_pruned(desk: Desk) -> None:
    built(desk.owner, name="packaged")
    registered(desk.owner, "churn", tree=uploaded(desk.owner, model="more"))
    built(desk.owner, name="packaged", models=["churn:2"])
    deployed(desk.owner, NewService(name="live", image="packaged:1", target="docker"))
    with pytest.raises(InUse, match="run by live"):
        images.delete(desk.owner, "packaged:1")
    (use,) = images.uses(desk.owner, "packaged:1")
    assert (use.service, use.revision, use.target, use.current, use.state) == ("live", 1, "docker", True, "running")
    planned = images.prune(desk.owner, Pruning(keep=0, dry_run=True))
    assert planned.images == ["packaged:2"]
    assert 0 < planned.freed_bytes < 100_000, "of layers that both have, nothing is freed"
    assert len(list(images.each(desk.owner))) == 2
    services.wait_gone(desk.owner, services.delete_service(desk.owner, "live"))
    assert list(images.uses(desk.owner, "packaged:1")) == []
    assert images.prune(desk.owner, Pruning(keep=1)).images == ["packaged:1"]
    images.delete(desk.owner, "packaged")
    assert list(images.each(desk.owner)) == []
    again = built(desk.owner, name="packaged", models=["churn:2"])
    assert again.version == 3, "a number is not given twice"


def test_an_image_that_was_deleted_is_built_again_for_a_rollback(desk: Desk, target: FakeTarget) -> None:
    deployed(desk.owner, NewService(name="churn", code=script(desk.owner), target="docker"))
    first = target.applied[-1].image
    services.change_service(desk.owner, "churn", ServiceChange(code=script(desk.owner, 2)))
    settled(desk.owner, "churn")
    assert images.prune(desk.owner, Pruning(keep=0)).images == ["churn:1"]
    services.roll_back_service(desk.owner, "churn", 1)
    assert settled(desk.owner, "churn").revision == 3
    now = target.applied[-1].image
    assert first is not None
    assert now is not None
    assert (now.digest, now.name) == (first.digest, "fairlead/default/churn:3")


def test_a_target_that_this_server_lacks_is_refused_with_the_cure(database_url: str, tmp_path: Path, target: FakeTarget) -> None:
    desk = Desk(tmp_path / "desk", database_url, target, cache=tmp_path / "cache").start()
    try:
        with pytest.raises(UsageError, match=r"on the target docker now\. It runs services on local"):
            services.deploy_service(desk.owner, NewService(name="churn", code=script(desk.owner), target="docker"))
    finally:
        desk.stop()


def test_what_was_aci_is_one_container_where_an_engine_answers(desk: Desk, target: FakeTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a kind's default of a tenth of a core bounds nothing."""
    monkeypatch.delenv("FAIRLEAD_TARGET", raising=False)
    built(desk.owner, name="packaged")
    said: list[str] = []
    wish = deploying.Wish(made="packaged", configuration=AciWebservice.deploy_configuration(memory_gb=2, location="here"))
    deploying.deploy(desk.owner, "was-aci", wish, say=said.append)
    assert (settled(desk.owner, "was-aci").target, target.applied[-1].resources) == ("container", Resources(memory=2 << 30))
    assert said == ["No effect on a service in containers, kept for other targets: location."]
    monkeypatch.setenv("FAIRLEAD_TARGET", "docker")
    chosen = deploying.deploy(desk.owner, "chosen", deploying.Wish(made="packaged"), say=said.append)
    assert chosen.target == "docker"
    monkeypatch.setenv("FAIRLEAD_TARGET", "local")
    over = deploying.deploy(desk.owner, "was-aci", deploying.Wish(made="packaged"), overwrite=True, say=said.append)
    assert over.target == "container"


def test_a_deploy_over_a_service_keeps_its_target(desk: Desk) -> None:
    deployed(desk.owner, NewService(name="churn", code=script(desk.owner), target="docker"))
    with pytest.raises(UsageError, match="runs on docker"):
        services.deploy_service(desk.owner, NewService(name="churn", code=script(desk.owner), target="container", overwrite=True))
    assert deployed(desk.owner, NewService(name="churn", code=script(desk.owner, 2), overwrite=True)).target == "docker"


def test_only_what_is_signed_runs_where_a_key_is_set(database_url: str, tmp_path: Path, target: FakeTarget, image_cache: Path) -> None:
    pair, other = generate_key_pair(), generate_key_pair()
    (tmp_path / "key.pub").write_bytes(pair.public)
    said = {"image_base": str(require_base()), "image_key": str(tmp_path / "key.pub")}
    desk = Desk(tmp_path / "desk", database_url, target, cache=image_cache, store=image_cache / "store", on=("local", "docker"), **said).start()
    try:
        refused = deployed(desk.owner, NewService(name="live", code=script(desk.owner), target="docker"))
        assert refused.update_error is not None
        assert (refused.state, refused.update_error.stage, refused.update_error.cause) == (ServiceState.FAILED, "image", "forbidden")
        assert "fairlead image sign live:1 --key KEY" in refused.update_error.message
        image = images.show(desk.owner, "live:1")
        for number, key in enumerate((other, pair)):
            (tmp_path / "key").write_bytes(key.private)
            assert len(signing.sign(desk.owner, image, tmp_path / "key").signatures) == number + 1
            services.change_service(desk.owner, "live", ServiceChange(image="live:1"))
            now = settled(desk.owner, "live")
            assert (now.state is ServiceState.HEALTHY, now.update_error and now.update_error.stage) == ((True, None) if key is pair else (False, "image"))
        assert deployed(desk.owner, NewService(name="local-one", code=script(desk.owner))).state is ServiceState.HEALTHY
    finally:
        desk.stop()


def test_a_signature_of_another_image_is_refused(desk: Desk, tmp_path: Path) -> None:
    first = built(desk.owner, name="packaged")
    second = built(desk.owner, name="packaged", models=["churn:1"], code=script(desk.owner, 2))
    (tmp_path / "key").write_bytes(generate_key_pair().private)
    (signature,) = signing.sign(desk.owner, first, tmp_path / "key").signatures
    with pytest.raises(UsageError, match="not of this image"):
        images.sign(desk.owner, second.id, NewSignature(payload=signature.payload, value=signature.value))
    assert len(images.sign(desk.owner, first.id, NewSignature(payload=signature.payload, value=signature.value)).signatures) == 1, "twice is once"

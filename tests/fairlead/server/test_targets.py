"""Which targets a server has, and what it says of those that it has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.errors import UsageError
from fairlead.server.settings import Settings
from fairlead.server.targets import lacking, lacks, refuse_lacking, targets_of, why_absent
from fairlead.stores import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "blobs"), spool=tmp_path / "spool")


def test_without_an_engine_there_is_one_target_and_the_reason(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("fairlead.targets.docker.address.DEFAULT", "/no/such/docker.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    settings = Settings(state_dir=tmp_path / "state")
    assert sorted(targets_of(settings, store)) == ["local"]
    assert why_absent(settings, store, "docker").startswith("There is no container engine at /no/such/docker.sock: start Docker or Podman")
    assert why_absent(settings, store, "moon") == ""
    said = lacking(settings, store, targets_of(settings, store))
    assert (sorted(said), said["local"], "start Docker or Podman" in said["container"]) == (["container", "docker", "local"], "", True)
    with pytest.raises(UsageError, match=r"cannot run services on the target docker now\. There is no container engine"):
        refuse_lacking(settings, store, targets_of(settings, store), "docker")
    assert not (tmp_path / "state").exists()
    (tmp_path / "state" / "docker").mkdir(parents=True)
    assert sorted(targets_of(settings, store)) == ["docker", "local"], "services may run there, whatever has become of the engine"


def test_an_engine_elsewhere_runs_single_containers(store: Store, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, docker_host="tcp://far.example:2376")
    assert sorted(targets_of(settings, store)) == ["container", "local"]
    assert "use the target `container`" in why_absent(settings, store, "docker")
    assert lacks(targets_of(settings, store)["container"]) == "", "it is asked when something is to run there"


def test_an_engine_that_was_named_and_is_away_is_said_to_be(store: Store, tmp_path: Path) -> None:
    targets = targets_of(Settings(state_dir=tmp_path, docker_host=f"unix://{tmp_path}/none.sock"), store)
    assert sorted(targets) == ["container", "docker", "local"]
    assert f"There is no container engine at {tmp_path}/none.sock" in lacks(targets["docker"])
    assert lacks(targets["local"]) == ""
    assert "is no address of a container engine" in why_absent(Settings(state_dir=tmp_path, docker_host="docker"), store, "docker")

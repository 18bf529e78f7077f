"""`Model.package`, and images as the early programs made and deployed them, against a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fairlead import (
    BootFailure,
    ContainerImage,
    ContainerRegistry,
    Image,
    InferenceConfig,
    InUse,
    LocalWebservice,
    Model,
    NotFound,
    UsageError,
    Webservice,
    Workspace,
)
from fairlead.client import access
from tests.containers import base_layout, require_base, require_engine, running_registry
from tests.needs import require

PASSWORD = "s3cret"
BCRYPT = "$2b$04$po/6fnphoV87o9t7ocyz7OqpSl7LNQyI672S6xvCCA.O6D12rgmZW"  # of the password


@pytest.fixture
def model(ws: Workspace, tmp_path: Path) -> Model:
    require_base()
    (tmp_path / "m.bin").write_bytes(b"m")
    return Model.register(ws, tmp_path / "m.bin", "weights")


def test_a_model_is_packaged_as_the_seeds_do_it(ws: Workspace, model: Model, echo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = Model.package(ws, [model], InferenceConfig(entry_script=echo), image_name="churn", image_label="stable")
    assert package.creation_state in ("NotStarted", "Running", "Succeeded")
    package.wait_for_creation(show_output=True)
    assert "building image ... " in capsys.readouterr().out
    assert (package.creation_state, package.location) == ("Succeeded", "churn:stable")
    assert package.get_logs().startswith("Models and script are put into a bundle.")
    assert package.get_container_registry() == ContainerRegistry()
    package.save(tmp_path / "layout")
    assert (tmp_path / "layout" / "index.json").is_file()
    assert package.serialize()["models"] == ["weights:1"]


def test_a_dockerfile_is_packaged(ws: Workspace, model: Model, echo: Path, tmp_path: Path) -> None:
    (tmp_path / "steps").write_text("RUN echo once\n")
    config = InferenceConfig(entry_script=echo, extra_docker_file_steps=tmp_path / "steps", base_image="python:3.11-slim")
    with pytest.raises(UsageError, match="generate_dockerfile=True"):
        Model.package(ws, [model], config)
    package = Model.package(ws, [model], config, generate_dockerfile=True)
    package.wait_for_creation()
    package.save(tmp_path / "imagefiles")
    written = (tmp_path / "imagefiles" / "Dockerfile").read_text()
    assert "FROM python:3.11-slim" in written
    assert "RUN echo once" in written
    assert repr(package).startswith("ModelPackage(Dockerfile)")
    with pytest.raises(UsageError, match="no image"):
        package.pull()


def test_a_package_that_fails_says_why(ws: Workspace, model: Model, echo: Path, tmp_path: Path) -> None:
    (tmp_path / "base.tar").write_text("no archive")
    package = Model.package(ws, [model], InferenceConfig(entry_script=echo, base_image=str(tmp_path / "base.tar")))
    with pytest.raises(BootFailure, match="building image"):
        package.wait_for_creation()
    assert package.creation_state == "Failed"


def test_an_image_is_made_found_and_deployed_as_the_early_programs_do_it(ws: Workspace, model: Model, echo: Path, tmp_path: Path) -> None:
    (tmp_path / "beside.txt").write_text("beside")
    config = ContainerImage.image_configuration(execution_script=echo, runtime="python", dependencies=[tmp_path / "beside.txt"], tags={"team": "a"})
    image = Image.create(name="churn", models=[model], image_config=config, workspace=ws)
    image.wait_for_creation(show_output=True)
    assert (image.id, image.version, image.creation_state, image.tags) == ("churn:1", 1, "Succeeded", {"team": "a"})
    assert [each.id for each in image.models] == ["weights:1"]
    assert [each.id for each in Image.list(ws, model_name="weights")] == ["churn:1"]
    assert [each.id for each in Image.list(ws, tags=[["team", "b"]])] == []
    assert Image(ws, "churn").id == Image(ws, id="churn:1").id == Image(ws, "churn", version=1).id == ws.images["churn"].id == "churn:1"
    service = Webservice.deploy_from_image(deployment_config=LocalWebservice.deploy_configuration(), image=image, name="churn", workspace=ws)
    service.wait_for_deployment()
    assert service.run({"x": 1})["echo"] == {"x": 1}
    assert service.image is not None
    assert service.image.id == "churn:1"
    assert [each.name for each in Webservice.list(ws, image_name="churn")] == ["churn"]
    assert [each.name for each in Webservice.list(ws, image_id="churn:1")] == ["churn"]
    assert Webservice.list(ws, image_name="chess") == []
    with pytest.raises(InUse, match="run by churn"):
        image.delete()
    service.delete()
    image.delete()
    with pytest.raises(NotFound):
        Image(ws, "churn")


def test_a_base_comes_from_a_registry_with_the_workspaces_secret(ws: Workspace, model: Model, echo: Path, tmp_path: Path) -> None:
    require("skopeo")
    layout, folder = base_layout(tmp_path / "base"), tmp_path / "registry"
    folder.mkdir()
    (folder / "htpasswd").write_text(f"ann:{BCRYPT}\n")
    with running_registry(folder, auth=f"auth:\n  htpasswd: {{realm: tests, path: '{folder / 'htpasswd'}'}}\n") as registry:
        command = [
            "skopeo",
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
            "--dest-creds=ann:s3cret",
            f"oci:{layout}:1",
            f"docker://{registry.host}/team/base:1",
        ]
        subprocess.run(command, check=True)
        access.set_secret(ws.transport, "registry-password", PASSWORD)
        with pytest.raises(UsageError, match="kept as a secret"):
            Model.package(ws, [model], _on(echo, ContainerRegistry(address=registry.host, username="ann", password=PASSWORD)))
        package = Model.package(ws, [model], _on(echo, ContainerRegistry(address=registry.host, username="ann", password="secret:registry-password")))
        package.wait_for_creation()
        assert str(package.serialize()["base"]).startswith(f"{registry.host}/team/base:1@sha256:")
        refused = Model.package(ws, [model], _on(echo, ContainerRegistry(address=registry.host)), image_name="other")
        with pytest.raises(BootFailure):
            refused.wait_for_creation()
        assert PASSWORD not in refused.get_logs() + package.get_logs()


@pytest.mark.engine
def test_a_package_is_pulled_into_docker(ws: Workspace, model: Model, echo: Path, tmp_path: Path) -> None:
    require_engine()
    name = f"fairlead-test-{ws.name}"
    package = Model.package(ws, [model], InferenceConfig(entry_script=echo), image_name=name)
    try:
        assert package.pull() == f"{name}:1"
        listed = subprocess.run(["docker", "image", "inspect", f"{name}:1", "--format", "{{.Config.User}}"], capture_output=True, text=True, check=True)
        assert listed.stdout.strip() == "10001:10001"
    finally:
        subprocess.run(["docker", "rmi", "-f", f"{name}:1"], capture_output=True)


def _on(echo: Path, registry: ContainerRegistry) -> InferenceConfig:
    said = {name: value for name, value in vars(registry).items() if value}
    return InferenceConfig(entry_script=echo, base_image="team/base:1", base_image_registry=said)

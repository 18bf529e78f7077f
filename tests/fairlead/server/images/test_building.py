"""Images as the server builds and records them: a real base, real layers, on both databases."""

from __future__ import annotations

import hashlib
import json

import pytest

from fairlead.client import images
from fairlead.client.blobs import Blobs
from fairlead.client.transport import Transport
from fairlead.errors import NotFound, UsageError
from fairlead.images.registry import connection
from fairlead.schemas.bases import BaseWish
from fairlead.schemas.images import NewImage
from fairlead.schemas.services import EnvironmentWish
from tests.control_plane import ControlPlane
from tests.fairlead.server.images.given import base, built, script, settled, wish
from tests.fairlead.server.registry.given import registered, uploaded


def test_an_image_is_recorded_with_all_that_it_is_made_of(owner: Transport) -> None:
    asked = images.create(owner, wish(owner, name="churn-eu", label="stable", description="the first", tags={"team": "a"}, git_commit="abc123"))
    assert (asked.state, asked.stage, asked.version, asked.digest) == ("pending", "packaging", None, None)
    image = settled(owner, asked)
    assert (image.id, image.state, image.reference, image.label, image.failure) == (asked.id, "ready", "churn-eu:1", "stable", None)
    assert (image.models, image.description, image.tags, image.git_commit) == (["churn:1"], "the first", {"team": "a"}, "abc123")
    (platform,) = image.platforms
    assert [layer.what for layer in platform.layers] == ["base", "environment", "runtime", "code", "model:churn"]
    assert (platform.manifest, platform.python_version[:4], platform.libc[:5]) == (image.digest, "3.11", "glibc")
    assert image.base is not None
    assert "@sha256:" in image.base
    assert image.size == sum(image.blobs.values())
    assert {image.digest, platform.config, platform.sbom, *(layer.digest for layer in platform.layers)} <= image.blobs.keys()


def test_each_content_of_an_image_is_read_by_its_digest(owner: Transport) -> None:
    image = built(owner)
    for digest, size in image.blobs.items():
        content = owner.request("GET", owner.path("blobs", digest)).content
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, size)
    config = json.loads(owner.request("GET", owner.path("blobs", image.platforms[0].config)).content)
    assert config["config"]["Labels"]["ai.fairlead.model"] == "churn:1"
    assert config["config"]["Labels"]["ai.fairlead.bundle"] == image.bundle_digest
    assert config["config"]["Labels"]["ai.fairlead.lock"] == image.environment_lock
    with Blobs(owner).open(str(image.platforms[0].sbom)) as stream:
        assert json.loads(stream.read())["subject"]["digest"] == f"sha256:{image.digest}"


def test_the_same_inputs_are_one_digest_and_one_record(owner: Transport) -> None:
    first = built(owner, name="churn")
    again = images.create(owner, wish(owner, name="churn", models=["churn:1"], label="prod"))
    second = settled(owner, again)
    assert (second.id, second.digest, second.version) == (first.id, first.digest, 1)
    assert images.show(owner, again.id).id == first.id, "the id of what was asked for goes on to mean it"
    assert images.show(owner, "churn:prod").id == first.id
    assert len(list(images.each(owner))) == 1
    other = built(owner, name="other", models=["churn:1"])
    assert (other.digest, other.reference) == (first.digest, "other:1")


def test_another_model_is_one_new_layer_and_the_next_version(owner: Transport) -> None:
    first = built(owner, name="churn")
    registered(owner, "churn", tree=uploaded(owner, model="other weights"))
    second = built(owner, name="churn", models=["churn:2"])
    assert second.reference == "churn:2"
    assert [layer.what for layer in second.platforms[0].layers if not layer.reused] == ["model:churn"]
    assert first.platforms[0].layers[:-1] == [layer.model_copy(update={"reused": False}) for layer in second.platforms[0].layers[:-1]]
    assert images.show(owner, "churn").id == images.show(owner, "churn:2").id == images.show(owner, f"sha256:{second.digest}").id == second.id
    assert [each.reference for each in images.each(owner)] == ["churn:2", "churn:1"]
    assert [each.reference for each in images.each(owner, model="churn:1")] == ["churn:1"]
    assert [each.reference for each in images.each(owner, name="chess")] == []


def test_a_label_moves(owner: Transport) -> None:
    built(owner, name="churn", label="stable")
    built(owner, name="churn", models=["churn:1"], code=script(owner, 2), label="stable")
    assert images.show(owner, "churn:stable").version == 2
    assert images.show(owner, "churn:1").label is None


def test_the_log_of_a_build_is_kept(owner: Transport) -> None:
    image = built(owner)
    assert images.read_log(owner, image.reference).splitlines()[0] == "Models and script are put into a bundle."


def test_a_base_that_is_none_fails_with_the_stage_and_the_reason(owner: Transport) -> None:
    image = built(owner, base=BaseWish(tree=uploaded(owner, nonsense="x")))
    assert image.failure is not None
    assert (image.state, image.version, image.failure.stage, image.failure.cause) == ("failed", None, "image", "usage-error")
    assert image.failure.message.startswith("The uploaded base 'nonsense' is no usable tar archive")


def test_a_registry_that_refuses_fails_without_another_build_and_says_what_it_waited_for(owner: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "wait", lambda *_: None)
    image = settled(owner, images.create(owner, wish(owner, base=BaseWish(image="127.0.0.1:1/python:3.11-slim"))))
    assert image.failure is not None
    assert (image.state, image.failure.cause) == ("failed", "base-unreachable")
    assert "connection refused" in image.failure.message
    assert images.read_log(owner, image.id).count("does not answer (connection refused); trying again in") == len(connection.PAUSES)


def test_a_registry_whose_name_is_unknown_fails_at_once_with_the_way_out(owner: Transport) -> None:
    image = settled(owner, images.create(owner, wish(owner, base=BaseWish(image="registry.invalid/python:3.11-slim"))))
    assert image.failure is not None
    assert (image.state, image.failure.cause) == ("failed", "base-unreachable")
    assert "path of an OCI layout" in image.failure.message


def test_an_environment_that_cannot_be_locked_fails_as_a_deploy_does(owner: Transport) -> None:
    image = built(owner, environment=EnvironmentWish(spec={"requirements": ["scikit-learn==0.0.0.1"]}))
    assert image.failure is not None
    assert (image.failure.stage, image.state) == ("environment", "failed")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"name": "Churn Model"}, "Try 'churn-model'"),
        ({"label": "2"}, "a number means a version"),
        ({"base": BaseWish(image="python:3.11", username="me")}, "password_secret"),
        ({"base": BaseWish(tree="0" * 64)}, "not in this workspace"),
        ({"models": ["churn:1", "churn:1"]}, "given twice"),
    ],
)
def test_what_cannot_be_built_is_refused_at_once(owner: Transport, said: dict[str, object], sentence: str) -> None:
    registered(owner, "churn")
    with pytest.raises(UsageError, match=sentence):
        images.create(owner, NewImage.model_validate({"models": ["churn:1"], "code": script(owner), **said}))


def test_a_base_is_either_named_or_uploaded(owner: Transport) -> None:
    with pytest.raises(UsageError, match="give one"):
        images.create(owner, wish(owner, base=BaseWish(image="python:3.11", tree=base(owner).tree)))


def test_a_secret_that_is_not_there_is_named(owner: Transport) -> None:
    registered(owner, "churn")
    with pytest.raises(NotFound, match="registry-password"):
        images.create(owner, NewImage(models=["churn:1"], code=script(owner), base=BaseWish(image="a/b", username="me", password_secret="registry-password")))


def test_what_is_not_there_is_not_found(owner: Transport) -> None:
    for said in ("churn", "churn:3", "0" * 64, "01a1fff6-6d12-7fdc-945c-00805fe5e187"):
        with pytest.raises(NotFound, match="fairlead image list"):
            images.show(owner, said)


def test_a_dockerfile_and_its_context_come_as_a_tree(owner: Transport) -> None:
    image = built(owner, dockerfile={"extra_steps": "RUN echo once"})
    assert (image.state, image.digest, image.platforms) == ("ready", None, [])
    tree = json.loads(owner.request("GET", owner.path("blobs", str(image.context))).content)
    paths = {file["path"]: file["sha256"] for file in tree["files"]}
    assert {"Dockerfile", "fairlead/requirements.lock", "fairlead/code/code/score.py"} <= paths.keys()
    assert "RUN echo once" in owner.request("GET", owner.path("blobs", paths["Dockerfile"])).text


def test_an_uploaded_base_makes_the_same_image(owner: Transport) -> None:
    first = built(owner, name="churn")
    assert built(owner, name="churn", models=["churn:1"], base=base(owner)).id == first.id


def test_contents_count_as_the_workspaces_own_once(owner: Transport, shared_plane: ControlPlane) -> None:
    before = _used(shared_plane, owner.workspace)
    image = built(owner)
    after = _used(shared_plane, owner.workspace)
    assert after - before >= sum(image.blobs.values())
    built(owner, name="again", models=["churn:1"])
    assert _used(shared_plane, owner.workspace) == after


def _used(plane: ControlPlane, workspace: str) -> int:
    said = plane.request("GET", f"/v1/workspaces/{workspace}").json()
    return int(said["used_bytes"])

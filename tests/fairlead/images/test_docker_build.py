"""Contexts become images in a real engine, with BuildKit and without: they answer, run as nobody, hold no settings of the machine, and fail by name."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from fairlead_scoring.bundle import open_bundle

from fairlead.errors import EnvironmentFailure, Unavailable, UsageError
from fairlead.images import build_settings
from fairlead.images.build_progress import Progress
from fairlead.images.container import COMMAND, HEALTH
from fairlead.images.docker_build import Builder, build_context, find_builder, saved
from fairlead.images.dockerfile import write_context
from tests.containers import require_engine
from tests.fairlead.images.contexts import BASE_IMAGE, Engine, load_base, recipe, small_bundle
from tests.waiting import until

pytestmark = pytest.mark.engine

THEIRS = f"""FROM {BASE_IMAGE} AS other
RUN echo made > /made

FROM {BASE_IMAGE}
USER 4242
ENTRYPOINT ["/bin/false"]
SHELL ["/bin/bash", "-c"]
COPY --from=other /made /made
COPY settings.ini /theirs
ENV COLOR=theirs
"""
HOSTILE = "a \"b\" $HOME `id` \\ 'c' #"


@pytest.fixture
def engine() -> Iterator[Engine]:
    require_engine()
    load_base()
    made = Engine()
    yield made
    made.end()


@pytest.fixture(params=["buildkit", "classic"])
def builder(request: pytest.FixtureRequest, engine: Engine) -> Builder:
    """Each kind that this machine has; Docker's older builder is in every engine so far."""
    found = find_builder()
    if request.param == "classic":
        return Builder(command=found.command, kind="classic")
    if found.kind != "buildkit":
        pytest.fail("needs a docker command with BuildKit (Debian's docker.io has one)")
    return found


def answer(address: str) -> dict[str, object]:
    def ready() -> bool:
        try:
            return httpx2.get(f"{address}/readyz", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    until(ready, "the container to be ready")
    told: dict[str, object] = httpx2.post(f"{address}/score", json={"data": [1]}, trust_env=False).json()
    return told


def test_an_image_answers_as_the_bundle_does(engine: Engine, builder: Builder, tmp_path: Path) -> None:
    """With steps, hostile labels and variables, read-only, as nobody; packages come from the index through the machine's own settings."""
    steps = 'RUN python -c "import orjson" && pip --version && id -u > /who\nCOPY settings.ini /etc/settings.ini'
    made = recipe(tmp_path, labels={"a.b": HOSTILE, HOSTILE: "x"}, variables={"COLOR": HOSTILE}, extra_steps=steps)
    write_context(made, tmp_path / "context")
    said: list[str] = []
    image = build_context(tmp_path / "context", engine.tag(), said.append, builder=builder)
    facts = json.loads(engine.docker("image", "inspect", image.tag))[0]
    assert facts["Id"] == f"sha256:{image.id}"
    assert [each for each in said if "RUN set -eu" in each]
    config = facts["Config"]
    assert (config["User"], config["Cmd"], config["Entrypoint"], config["WorkingDir"]) == ("10001:10001", list(COMMAND), None, "/tmp")  # noqa: S108
    assert (config["Labels"]["a.b"], config["Labels"][HOSTILE]) == (HOSTILE, "x")
    assert (list(config["ExposedPorts"]), config["Healthcheck"]) == (["5001/tcp"], HEALTH)
    assert (config["Labels"]["ai.fairlead.model"], config["Labels"]["ai.fairlead.bundle"]) == ("churn:1", open_bundle(made.bundle).digest)
    assert {"HOME=/tmp", "USER=fairlead"} < set(config["Env"])
    with engine.running(image.tag) as address:
        assert answer(address) == {"model": "first", "color": HOSTILE, "user": 10001}
    assert engine.docker("run", "--rm", "--entrypoint", "/bin/cat", image.tag, "/who", "/etc/settings.ini") == "0\n[a]\n"


def test_settings_of_the_machine_are_no_part_of_the_image(engine: Engine, builder: Builder, tmp_path: Path) -> None:
    write_context(recipe(tmp_path), tmp_path / "context")
    settings = build_settings.of_this_machine()
    marked = replace(settings, pip=f"{settings.pip or '[global]'}\n# kept-for-me\n", authorities=settings.authorities)
    image = build_context(tmp_path / "context", engine.tag(), lambda _line: None, settings=marked, builder=builder)
    assert (tmp_path / "context" / "fairlead" / "build" / "pip.conf").read_text() == ""
    archive = tmp_path / "image.tar"
    with archive.open("wb") as file:
        for piece in saved(image):
            file.write(piece)
    with tarfile.open(archive) as packed:
        assert b"kept-for-me" not in archive.read_bytes()
        for layer in [each for each in packed.getmembers() if each.name.endswith("layer.tar")]:
            with tarfile.open(fileobj=packed.extractfile(layer)) as inner:
                assert not [name for name in inner.getnames() if name == "build" or name.startswith("build/")]
    assert "kept-for-me" not in engine.docker("history", "--no-trunc", image.tag)


def test_another_model_is_one_other_layer(engine: Engine, tmp_path: Path) -> None:
    first = recipe(tmp_path)
    write_context(first, tmp_path / "first")
    write_context(replace(first, bundle=small_bundle(tmp_path, "second")), tmp_path / "second")
    layers = []
    for name in ("first", "second"):
        image = build_context(tmp_path / name, engine.tag(), lambda _line: None)
        layers.append(json.loads(engine.docker("image", "inspect", image.tag))[0]["RootFS"]["Layers"])
    assert [one == other for one, other in zip(*layers, strict=True)].count(False) == 1


def test_a_persons_own_dockerfile_is_the_base(engine: Engine, builder: Builder, tmp_path: Path) -> None:
    made = recipe(tmp_path, base_image="", base_dockerfile=THEIRS)
    write_context(made, tmp_path / "context")
    image = build_context(tmp_path / "context", engine.tag(), lambda _line: None, builder=builder)
    with engine.running(image.tag) as address:
        assert answer(address) == {"model": "first", "color": "theirs", "user": 10001}
    assert engine.docker("run", "--rm", image.tag, "/bin/cat", "/made", "/theirs") == "made\n[a]\n"


def test_packages_of_the_base_are_seen_when_it_brings_them(engine: Engine, tmp_path: Path) -> None:
    """`userManagedDependencies` with an image of one's own: nothing is installed, and its packages are what there is."""
    theirs = f"FROM {BASE_IMAGE}\nRUN echo 'def loads(x): return x' > /usr/lib/python3/dist-packages/orjson.py\n"
    made = recipe(tmp_path, base_image="", base_dockerfile=theirs, lock="", system_packages=True)
    write_context(made, tmp_path / "context")
    image = build_context(tmp_path / "context", engine.tag(), lambda _line: None)
    with engine.running(image.tag) as address:
        assert answer(address)["model"] == "first"


def test_a_failed_step_is_named_with_its_last_lines(engine: Engine, builder: Builder, tmp_path: Path) -> None:
    write_context(recipe(tmp_path, extra_steps="RUN echo first && echo wrong-thing >&2 && exit 7"), tmp_path / "context")
    with pytest.raises(EnvironmentFailure) as caught:
        build_context(tmp_path / "context", engine.tag(), lambda _line: None, builder=builder)
    assert "echo first && echo wrong-thing" in caught.value.facts["step"]
    assert "wrong-thing" in caught.value.facts["log_lines"]
    assert caught.value.cause == "image-build"


def test_a_base_that_no_registry_gives_is_said_to_be_the_fault(engine: Engine, builder: Builder, tmp_path: Path) -> None:
    write_context(recipe(tmp_path, base_image="127.0.0.1:1/nowhere/base:1"), tmp_path / "context")
    with pytest.raises(EnvironmentFailure, match="name another one") as caught:
        build_context(tmp_path / "context", engine.tag(), lambda _line: None, builder=builder)
    assert "Correct the Dockerfile" not in str(caught.value)


def test_a_base_with_another_python_is_refused_by_the_build(engine: Engine, builder: Builder, tmp_path: Path) -> None:
    write_context(recipe(tmp_path, python="3.12"), tmp_path / "context")
    with pytest.raises(EnvironmentFailure) as caught:
        build_context(tmp_path / "context", engine.tag(), lambda _line: None, builder=builder)
    assert "The base image has Python 3.11, and the packages are locked for 3.12." in caught.value.facts["log_lines"]


def test_a_tampered_lock_installs_nothing(engine: Engine, tmp_path: Path) -> None:
    made = recipe(tmp_path)
    write_context(replace(made, lock=made.lock.partition(" --hash=")[0] + " --hash=sha256:" + "0" * 64 + "\n"), tmp_path / "context")
    with pytest.raises(EnvironmentFailure) as caught:
        build_context(tmp_path / "context", engine.tag(), lambda _line: None)
    assert "DO NOT MATCH THE HASHES" in " ".join(caught.value.facts["log_lines"])


@pytest.mark.parametrize("tag", ["Churn", "-x", "a b", ""])
def test_a_tag_is_a_name(tmp_path: Path, tag: str) -> None:
    with pytest.raises(UsageError, match="no name for an image"):
        build_context(tmp_path, tag, lambda _line: None)


def test_without_docker_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="no docker command"):
        find_builder()


@pytest.mark.needs("docker")
def test_without_an_engine_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(Unavailable, match="cannot be used: "):
        find_builder()


def test_progress_keeps_apart_what_runs_side_by_side() -> None:
    said: list[str] = []
    progress = Progress(said.append)
    for line in ("#4 [a 1/2] RUN x", "#5 [b 1/2] RUN y", "#4 0.1 of x", "#5 0.2 of y", "#5 ERROR: exit code: 7", "#4 0.3 more", "------", " > [b 1/2]"):
        progress.take(line)
    assert (progress.step, list(progress.last)) == ("[b 1/2] RUN y", ["of y", "exit code: 7"])
    assert said == ["[a 1/2] RUN x", "[b 1/2] RUN y"]


def test_settings_come_from_variables_and_files_of_pip(tmp_path: Path) -> None:
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://one.example/simple\nextra-index-url = file:///x https://two.example/simple\ncert = /nowhere\n[list]\nformat = columns\n"
    )
    (tmp_path / "ca.pem").write_text("CERTIFICATE")
    variables = {"HOME": str(tmp_path), "UV_DEFAULT_INDEX": "https://user:secret@three.example/simple", "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    found = build_settings.of_this_machine({**variables, "https_proxy": "http://proxy.example:1"})
    assert "index-url = https://user:secret@three.example/simple" in found.pip
    assert "extra-index-url = https://two.example/simple" in found.pip
    assert "file:" not in found.pip
    assert "cert" not in found.pip
    assert (found.authorities, found.proxies) == ("CERTIFICATE", ("https_proxy",))
    assert "secret" not in repr(found)

"""`fairlead package` and `fairlead image` as a person runs them, against a real server and the real tools of containers."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path

import pytest

from fairlead.images.signing_keys import generate_key_pair
from tests.containers import require_base, require_engine, running_registry
from tests.deploying import Shell
from tests.live import free_port
from tests.needs import require
from tests.waiting import until


@pytest.fixture
def model(tmp_path: Path) -> str:
    """In the shell's folder; score.py of `echo` is its script."""
    require_base()
    (tmp_path / "m.bin").write_bytes(b"m")
    return "m.bin"


def test_a_model_is_packaged_as_an_oci_layout_that_skopeo_reads(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    require("skopeo")
    done = shell("package", model, "-f", echo, "-n", "churn", "--tag", "team=a", "-o", "out")
    assert done.code == 0, done.err
    said = [line.split("  ")[0] for line in done.err.splitlines()]
    assert said == ["registered m.bin as m:1", "uploading", "packaging", "choosing versions", "building image", "writing", said[-1]]
    assert said[-1].startswith("churn:1 is ready, ")
    assert all(len(line) <= 80 for line in done.out.splitlines() if "sha256:" not in line)
    run = "docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:5001:5001 churn:1"
    for word in ("runtime ", "model:m ", "written to   out", "skopeo copy oci:out:1 docker-daemon:churn:1", run):
        assert word in done.out
    image = json.loads(shell.ok("image", "show", "churn", "--json"))
    inspected = json.loads(subprocess.run(["skopeo", "inspect", f"oci:{tmp_path / 'out'}:1"], capture_output=True, check=True).stdout)
    assert inspected["Digest"] == f"sha256:{image['digest']}"
    assert inspected["Layers"] == [f"sha256:{layer['digest']}" for layer in image["platforms"][0]["layers"]]


def test_what_there_is_is_listed_shown_and_cleared_up(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    shell.ok("package", model, "-f", echo, "-n", "churn", "--label", "stable")
    echo.write_text(echo.read_text().replace("loading", "starting"))
    assert shell.ok("package", "m:1", "-f", echo, "-n", "churn", "--quiet") == "churn:2\n"
    listed = shell.ok("image", "list", "--model", "m").splitlines()
    assert [line.split()[:3] for line in listed] == [["NAME", "STATE", "MODELS"], ["churn:2", "ready", "m:1"], ["churn:1", "ready", "m:1"]]
    assert all(len(line) <= 80 for line in listed)
    assert shell.ok("image", "list", "--quiet") == "churn:2\nchurn:1\n"
    assert "No image is like that" in shell("image", "list", "-n", "other").err
    assert "label        stable" in shell.ok("image", "show", "churn:stable")
    history = shell.ok("image", "history", "churn:2").splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in history[1:]] == [
        ("base", "reused"), ("environment", "reused"), ("runtime", "reused"), ("code", "new"), ("model:m", "new"),
    ]  # fmt: skip
    assert shell.ok("image", "logs", "churn").startswith("Models and script are put into a bundle.")
    shell.ok("deploy", "--image", "churn:1", "-n", "live")
    usage = shell.ok("image", "usage", "churn:1")
    assert usage.splitlines()[1].split()[:4] == ["live", "1", "local", "running"]
    assert "docker run" in usage
    assert json.loads(shell.ok("image", "usage", "churn:1", "--json"))["services"][0]["service"] == "live"
    assert "churn:1@sha256:" in shell.ok("service", "show", "live")
    refused = shell("image", "delete", "churn:1")
    assert (refused.code, "run by live" in refused.err) == (2, True)
    assert "would go  churn:2" in shell.ok("image", "prune", "--keep", "0", "--dry-run")
    assert shell.ok("image", "prune", "--keep", "0", "--quiet") == "churn:2\n"
    assert shell.ok("image", "list", "--quiet") == "churn:1\n"


def test_an_image_is_pushed_and_only_what_is_missing_is_sent(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    require("skopeo")
    with running_registry(tmp_path / "registry") as registry:
        target = f"{registry.host}/team/churn"
        first = shell.ok("package", model, "-f", echo, "-n", "churn", "--push", f"{target}:1")
        assert f"docker pull {target}:1" in first
        (tmp_path / "m.bin").write_bytes(b"another model")
        second = json.loads(shell.ok("package", model, "-f", echo, "-n", "churn", "--push", f"{target}:2", "--json"))
        inspected = subprocess.run(["skopeo", "inspect", "--tls-verify=false", f"docker://{target}:2"], capture_output=True, check=True).stdout
        assert json.loads(inspected)["Digest"] == f"sha256:{second['digest']}"
        again = shell.ok("image", "pull", "churn:2", "--push", f"{target}:three")
        assert f"{target}:three (" in again
        sent = again.partition(f"{target}:three (")[2].partition(" sent")[0]
        assert sent.endswith(("B", "KiB")), sent


def test_what_cannot_be_written_is_said_before_anything_is_built(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "taken.tar").write_text("mine")
    for destination in (("-o", "taken.tar"), ("--push", "BAD//x")):
        done = shell("package", model, "-f", echo, "-n", "churn", *destination)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert shell.ok("image", "list", "--quiet") == ""
    shell.ok("package", model, "-f", echo, "-n", "churn")
    done = shell("image", "pull", "churn", "-o", "taken.tar/churn.tar")
    assert (done.code, "taken.tar/churn.tar cannot be written" in done.err.replace("\n", " ")) == (2, True), done.err
    assert (tmp_path / "taken.tar").read_text() == "mine"


def test_what_was_left_half_written_is_gone_on_with(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    shell.ok("package", model, "-f", echo, "-n", "churn", "-o", "out")
    layer = max((tmp_path / "out" / "blobs" / "sha256").iterdir(), key=lambda each: each.stat().st_size)
    (tmp_path / "out" / "index.json").unlink()
    (layer.parent / ".half").write_bytes(layer.read_bytes()[:1000])
    layer.unlink()
    shell.ok("image", "pull", "churn", "-o", "out")
    assert layer.is_file()
    assert not list(layer.parent.glob(".*"))
    assert (shell("image", "pull", "churn", "-o", "out").code, (tmp_path / "out" / "index.json").is_file()) == (2, True)


def test_an_archive_has_its_name_only_once_it_is_whole(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    """A limit of a file's size stands for a full disk: what is refused is refused in the same way."""
    small = ("bash", "-c", 'ulimit -f 1000 && exec "$@"', "bash")
    shell.ok("package", model, "-f", echo, "-n", "churn")
    for place in ("out.tar", "out"):
        (tmp_path / "small").mkdir(exist_ok=True)
        done = shell("image", "pull", "churn", "-o", f"small/{place}", under=small)
        assert (done.code, f"There is no space left for small/{place}" in done.err.replace("\n", " ")) == (6, True), done.err
        assert not [each for each in (tmp_path / "small").iterdir() if each.is_file()]
        assert not (tmp_path / "small" / place / "index.json").exists()


def test_a_model_whose_loading_runs_code_is_said_to_need_a_word(shell: Shell, echo: Path, tmp_path: Path) -> None:
    require_base()
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Path("x")))
    shell.ok("package", "m.pkl", "-f", echo, "-n", "churn")
    assert "FAIRLEAD_UNSAFE_FORMATS=allow" in shell.ok("image", "show", "churn")


def test_a_failed_build_is_found_by_its_id(shell: Shell, echo: Path, model: str) -> None:
    failed = shell("package", model, "-f", echo, "-n", "churn", "--platform", "linux/s390x")
    assert failed.code != 0
    pruned = shell.ok("image", "prune", "--dry-run", "--quiet").strip()
    assert f"`fairlead image logs {pruned}` shows more." in failed.err.replace("\n", " ")
    assert shell.ok("image", "logs", pruned)


def test_a_signature_goes_along(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    require("skopeo")
    (tmp_path / "cosign.key").write_bytes(generate_key_pair().private)
    with running_registry(tmp_path / "registry") as registry:
        target = f"{registry.host}/team/churn"
        done = shell.ok("package", model, "-f", echo, "-n", "churn", "--sign", "cosign.key", "--push", f"{target}:1")
        digest = json.loads(shell.ok("image", "show", "churn", "--json"))["digest"]
        tags = json.loads(subprocess.run(["skopeo", "list-tags", "--tls-verify=false", f"docker://{target}"], capture_output=True, check=True).stdout)["Tags"]
        assert f"sha256-{digest}.sig" in tags
    assert "signed " in done
    assert "signed " in shell.ok("image", "sign", "churn", "--key", "cosign.key")
    (tmp_path / "other.key").write_bytes(generate_key_pair().private)
    twice = [shell.ok("image", "sign", "churn", "--key", "other.key", "--json") for _ in range(2)]
    assert [len(json.loads(said)["signatures"]) for said in twice] == [2, 2], "one of each key"


@pytest.mark.engine
def test_an_image_runs_in_docker_and_answers_as_the_service_does(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    require_engine()
    name = f"fairlead-test-{tmp_path.parent.name[-12:]}".lower().strip("-")
    try:
        shell.ok("package", model, "-f", echo, "-n", name, "-o", "image.tar", "--load")
        port = free_port()
        run = ["docker", "run", "-d", "--rm", "--name", name, "--read-only", "--tmpfs=/tmp", "-p", f"127.0.0.1:{port}:5001", f"{name}:1"]
        subprocess.run(run, check=True, capture_output=True)
        answer = until(lambda: _scored(port), "the container to answer", timeout=60)
        assert json.loads(str(answer))["echo"] == {"x": 1}
        subprocess.run(["docker", "load", "-i", str(tmp_path / "image.tar")], check=True, capture_output=True)
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True)
        subprocess.run(["docker", "rmi", "-f", f"{name}:1"], capture_output=True)


def test_a_dockerfile_is_written_instead(shell: Shell, echo: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "steps").write_text("RUN echo once\n")
    (tmp_path / "inferenceconfig.yml").write_text("entryScript: score.py\nextraDockerfileSteps: steps\n")
    refused = shell("package", model, "-c", "inferenceconfig.yml")
    assert (refused.code, "--dockerfile" in refused.err) == (2, True)
    done = shell.ok("package", "m:1", "-c", "inferenceconfig.yml", "--dockerfile", "-o", "context")
    assert "docker build -t m:1 context" in done
    assert "RUN echo once" in (tmp_path / "context" / "Dockerfile").read_text()
    assert "Dockerfile" in shell.ok("image", "list")
    shell.ok("image", "pull", "m:1", "-o", "again")
    assert (tmp_path / "again" / "Dockerfile").read_text() == (tmp_path / "context" / "Dockerfile").read_text()
    other = shell.ok("model", "package", "-m", "m:1", "--ic", "inferenceconfig.yml", "-o", "other", "--il", "stable")
    assert "docker build -t m:stable other" in other


def test_the_first_generations_words_make_an_image(shell: Shell, echo: Path, model: str) -> None:
    assert "model:m " in shell.ok("image", "create", "-n", "churn", "-m", model, "-f", "score.py", "-r", "python", "--image-type", "Docker")
    assert shell.ok("image", "show", "-i", "churn:1", "--quiet").strip() == json.loads(shell.ok("image", "show", "churn", "--json"))["digest"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["package"], "What is to be packaged?"),
        (["package", "m:1", "-n", "No Name"], "Try 'no-name'"),
        (["package", "m:1", "-f", "score.py", "--base", "absent.tar"], "There is no base image absent.tar here"),
        (["package", "m:1", "-f", "score.py", "--platform", "windows/amd64"], "'windows/amd64' is no platform"),
        (["package", "m:1", "-f", "score.py", "--platform", "linux"], "'linux' is no platform"),
        (["package", "m:1", "-f", "score.py", "--label", "2"], "a number means a version"),
        (["package", "m:1", "-f", "score.py", "--label", "a b"], "'a b' is no label"),
        (["package", "m:1", "-f", "score.py", "--sign", "none.key"], "The key none.key cannot be read"),
        (["package", "m:1", "-f", "score.py", "--dockerfile", "-o", "x", "--push", "127.0.0.1:5000/m:1"], "--push is for an image"),
        (["package", "m:1", "-f", "score.py", "--dockerfile", "-o", "x", "--sign", "none.key"], "--sign is for an image"),
        (["package", "m:1", "-f", "score.py", "-o", "score.py/out"], "score.py/out cannot be written"),
        (["image", "show", "b@d x"], "'b@d x' names no image"),
        (["package", "m:1", "-f", "score.py", "--dockerfile"], "say where with -o"),
        (["package", "m:7", "-f", "score.py"], "m:7"),
        (["package", "m:1", "-f", "score.py", "-o", "."], "is there already"),
        (["image", "show"], "Which image?"),
        (["image", "show", "none"], "There is no image 'none'"),
        (["image", "sign", "none"], "With which key?"),
        (["image", "create", "-f", "score.py"], "Give -n NAME"),
        (["image", "create", "-n", "x", "--image-type", "VM", "-f", "score.py"], "--image-type VM"),
        (["deploy", "--image", "none", "-n", "live"], "There is no image 'none'"),
        (["deploy", "m:1", "--image", "none", "-n", "live"], "holds model and script already"),
        (["deploy", "m:1", "-f", "score.py", "--target", "moon"], "no compute target 'moon'"),
    ],
)
def test_bad_words_are_one_sentence(shell: Shell, echo: Path, model: str, arguments: list[str], says: str) -> None:
    shell.ok("model", "register", f"m={model}")
    done = shell(*arguments)
    assert done.code == 2, done.err
    assert says in done.err.replace("\n", " ")
    assert "Traceback" not in done.err


def _scored(port: int) -> str | None:
    command = ["curl", "-sf", "-m", "5", f"http://127.0.0.1:{port}/score", "-H", "content-type: application/json", "-d", '{"x": 1}']
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None

"""`fairlead package --dockerfile`: from a configuration with steps to a folder that builds, and to an image that answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import Environment, InferenceConfig
from fairlead.errors import UsageError
from tests.containers import require_engine
from tests.deploying import Shell
from tests.fairlead.images.contexts import BASE_IMAGE, Engine, load_base

pytestmark = pytest.mark.engine

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return open('/etc/greeting').read()\n"
CONFIG = {"entryScript": "score.py", "sourceDirectory": "source", "extraDockerfileSteps": "steps.txt", "baseImage": BASE_IMAGE, "runtime": "python"}


@pytest.fixture
def engine() -> Iterator[Engine]:
    require_engine()
    load_base()
    made = Engine()
    yield made
    made.end()


@pytest.fixture
def place(shell: Shell) -> Path:
    source = shell.folder / "source"
    source.mkdir()
    (source / "score.py").write_text(SCRIPT)
    (source / "greeting").write_text("hello")
    (source / "steps.txt").write_text('COPY greeting /etc/greeting\nRUN test "$(id -u)" = 0\n')
    (shell.folder / "inferenceconfig.json").write_text(json.dumps(CONFIG))
    return shell.folder


def test_a_folder_is_written_that_plain_docker_builds(shell: Shell, place: Path, engine: Engine) -> None:
    done = shell("package", "--ic", "inferenceconfig.json", "--dockerfile", "-o", "out", "-n", "greeter")
    assert done.code == 0, done.err
    assert (place / "out" / "greeting").read_text() == "hello"
    text = (place / "out" / "Dockerfile").read_text()
    assert text.startswith(f"FROM {BASE_IMAGE} AS fairlead-base\n")
    assert "COPY greeting /etc/greeting\n" in text
    assert engine.tags == []


def test_it_is_built_on_demand(shell: Shell, place: Path, engine: Engine) -> None:
    done = shell("package", "--ic", "inferenceconfig.json", "--dockerfile", "--build", "-n", "greeter-of-tests", "--label", "built")
    assert done.code == 0, done.err
    engine.tags.append("greeter-of-tests:built")
    assert engine.docker("run", "--rm", "--entrypoint", "/bin/cat", "greeter-of-tests:built", "/etc/greeting") == "hello"


def test_a_build_that_fails_shows_its_last_lines(shell: Shell, place: Path, engine: Engine) -> None:
    (place / "source" / "steps.txt").write_text("RUN echo what-went-wrong && exit 3\n")
    done = shell("package", "--ic", "inferenceconfig.json", "--dockerfile", "--build", "-n", "greeter-of-tests")
    assert done.code == 3
    assert "what-went-wrong\n" in done.err
    assert done.err.splitlines()[-1].startswith("fairlead: The image could not be built; it failed at step")
    assert engine.tags == []


@pytest.mark.parametrize(
    ("steps", "says"),
    [("FROM other\n", "FROM begins another image"), ("COPY nothing /x\n", "copies 'nothing'"), ("RUN true \\\n", "ends with a backslash")],
)
def test_steps_that_cannot_be_are_refused_by_line(shell: Shell, place: Path, steps: str, says: str) -> None:
    (place / "source" / "steps.txt").write_text(steps)
    done = shell("package", "--ic", "inferenceconfig.json", "--dockerfile", "-o", "out")
    assert done.code == 3
    assert says in done.err
    assert not (place / "out").exists()


def test_without_dockerfile_the_way_is_named(shell: Shell, place: Path) -> None:
    done = shell("package", "--ic", "inferenceconfig.json", "-o", "out")
    assert done.code == 2
    assert "--dockerfile" in done.err
    assert place.is_dir()


def test_environments_of_a_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "requirements.txt").write_text("six==1.17.0\n")
    bare = InferenceConfig("score.py", source_directory=tmp_path, environment=Environment.from_dockerfile("e", tmp_path / "Dockerfile"))
    assert (bare.packages(), bare.docker()) == (None, {"base_dockerfile": "FROM a\n", "user_managed": True})
    told = Environment.from_dockerfile("e", "FROM b", pip_requirements=str(tmp_path / "requirements.txt"))
    filled = InferenceConfig("score.py", source_directory=tmp_path, environment=told)
    assert filled.packages() is not None
    assert filled.docker() == {"base_dockerfile": "FROM b"}
    with pytest.raises(UsageError, match="cannot be read"):
        Environment.from_dockerfile("e", tmp_path / "missing")

"""Recipes for Dockerfiles of a small bundle, and engines that keep nothing of what was built."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from fairlead.bundles.making import make
from fairlead.bundles.recipe import Found, ModelSource, Recipe
from fairlead.environments.requirement_lines import read_requirements
from fairlead.images.dockerfile import DockerfileRecipe
from tests.containers import REPO, require_base

BASE_IMAGE = "fairlead-test/base:1"
SCRIPT = """
import os
import orjson
from azureml.core.model import Model

def init():
    global model
    model = open(Model.get_model_path("churn")).read()

def run(data):
    return {"model": model, "color": os.environ.get("COLOR"), "user": os.getuid()}
"""


def recipe(folder: Path, **changes: object) -> DockerfileRecipe:
    """Of a bundle in `folder`; its script needs orjson and reads its model."""
    spec = find_spec("fairlead_scoring")
    assert spec is not None
    assert spec.origin is not None
    known = {
        "bundle": small_bundle(folder),
        "lock": locked("orjson"),
        "python": "3.11",
        "runtime": Path(spec.origin).parent,
        "runtime_lock": locked("httptools", "orjson", "prometheus-client", "uvloop"),
        "cache": folder / "cache",
        "base_image": BASE_IMAGE,
    }
    return DockerfileRecipe(**{**known, **changes})  # type: ignore[arg-type]


def small_bundle(folder: Path, model: str = "first") -> Path:
    out = folder / f"bundle-{model}"
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    (source / "score.py").write_text(SCRIPT)
    (source / "settings.ini").write_text("[a]\n")
    (folder / "churn.txt").write_text(model)
    (folder / "sample.json").write_text('{"data": [1]}')
    said = Recipe(models=[ModelSource(name="churn", path=folder / "churn.txt")], script=source / "score.py", source_dir=source, sample=folder / "sample.json")
    make(said, out, _uninspected)
    return out


def locked(*names: str) -> str:
    """Lines of our own lock, with hashes."""
    lines = read_requirements((REPO / "requirements" / "run.lock").read_text()).locked
    return "".join(f"{line}\n" for line in lines if line.partition("==")[0] in names)


@dataclass
class Engine:
    """Docker, and what is made in it; all of that goes with the test."""

    tags: list[str] = field(default_factory=list)
    before: set[str] = field(default_factory=lambda: _untagged())  # noqa: PLW0108 - it comes further down

    def tag(self) -> str:
        self.tags.append(f"fairlead-test/dockerfile:{uuid.uuid4().hex[:12]}")
        return self.tags[-1]

    def docker(self, *arguments: str) -> str:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self, image: str, *options: str) -> Iterator[str]:
        """The address of a container that goes with the block."""
        identity = self.docker("run", "--detach", "--rm", "--read-only", "--tmpfs=/tmp", "-p", "127.0.0.1::5001", *options, image).strip()
        try:
            yield "http://" + self.docker("port", identity, "5001").splitlines()[0]
        finally:
            self.docker("rm", "--force", identity)

    def end(self) -> None:
        """Tags first; then what the older builder has left between, which nothing else here makes."""
        for tag in self.tags:
            subprocess.run(["docker", "rmi", "--force", tag], capture_output=True)
        for identity in _untagged() - self.before:
            if "/bin/sh -c" in subprocess.run(["docker", "history", "--no-trunc", identity], capture_output=True, text=True).stdout:
                subprocess.run(["docker", "rmi", identity], capture_output=True)


def load_base() -> None:
    """As BASE_IMAGE; it stays, for the tests that come after."""
    if subprocess.run(["docker", "image", "inspect", BASE_IMAGE], capture_output=True).returncode:
        subprocess.run(["docker", "load", "--quiet", "--input", str(require_base())], capture_output=True, check=True)


def _untagged() -> set[str]:
    listed = subprocess.run(["docker", "images", "--quiet", "--no-trunc", "--filter", "dangling=true"], capture_output=True, text=True, check=True).stdout
    return set(listed.split())


def _uninspected(_path: Path) -> Found:
    raise AssertionError("the bundle has a script")

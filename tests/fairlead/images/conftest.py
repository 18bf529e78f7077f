"""Images of real bundles with real wheels, shared by the tests of this folder: each is built once in a run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fairlead_scoring.bundle import Bundle

from fairlead.bundles import ModelSource, Recipe, make
from fairlead.environments.requirement_lines import read_requirements
from fairlead.images.layout import LayoutBlobs
from tests.fairlead.images.running import clear_engine
from tests.fairlead.test_bundles import never

ECHO = "import json\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return json.loads(data)\n"


@pytest.fixture(scope="session")
def locked(repository: Path) -> Callable[..., str]:
    """A lock of these packages alone, at the versions that the tests themselves run with: `locked("joblib")`."""
    lines = read_requirements(repository / "requirements" / "test.lock").locked

    def of(*names: str) -> str:
        return "".join(f"{line}\n" for name in names for line in lines if line.startswith(f"{name}=="))

    return of


@pytest.fixture(scope="session")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image-cache")


@pytest.fixture
def blobs(tmp_path: Path) -> LayoutBlobs:
    return LayoutBlobs(tmp_path / "blobs")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A script that needs nothing, and one model."""
    return bundle_of(tmp_path, b"model " * 100)


@pytest.fixture
def engine_mark() -> Iterator[str]:
    """A label of this test's own; containers and images that carry it go with the test."""
    mark = f"fairlead-test-{uuid.uuid4().hex[:12]}"
    try:
        yield mark
    finally:
        clear_engine(mark)


def bundle_of(folder: Path, *models: bytes, script: str = ECHO) -> Bundle:
    """Models are called one, two, …"""
    names = ["one", "two", "three"][: len(models)]
    where = folder / f"bundle-{uuid.uuid4().hex[:8]}"
    source = where.with_name(f"{where.name}-in")
    source.mkdir(parents=True)
    (source / "score.py").write_text(script)
    (source / "sample.json").write_text('{"data": [[1, 2]]}')
    for name, content in zip(names, models, strict=True):
        (source / f"{name}.bin").write_bytes(content)
    recipe = Recipe(
        models=[ModelSource(name=name, path=source / f"{name}.bin") for name in names],
        script=source / "score.py",
        sample=source / "sample.json",
        name="echo",
    )
    return make(recipe, where, never)

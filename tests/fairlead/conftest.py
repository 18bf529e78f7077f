"""A package index that is a folder of real wheels, so that uv answers the same each time and needs no network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploying import deploying_plane, echo, shell, ws

__all__ = ["deploying_plane", "echo", "index", "shell", "wheel", "ws"]
Wheel = Callable[..., Path]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """uv takes packages from this folder and from nowhere else; its cache is empty."""
    folder = tmp_path / "index"
    folder.mkdir()
    (tmp_path / "no-index").mkdir()
    for name in ("UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "no-index").as_uri())
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def wheel(index: Path) -> Wheel:
    """Puts a wheel into the index: `wheel("alpha", "1.0", requires=["beta>=1"])`."""

    def make(name: str, version: str, *, requires: tuple[str, ...] = (), python: str = ">=3.8", tag: str = "py3-none-any", body: str = "") -> Path:
        path = index / f"{name}-{version}-{tag}.whl"
        about = f"{name}-{version}.dist-info"
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}", *(f"Requires-Dist: {each}" for each in requires)]
        extras = {each.partition("extra ==")[2].strip(" '\"") for each in requires if "extra ==" in each}
        metadata += [f"Provides-Extra: {each}" for each in sorted(extras)]
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{name}.py", body or f"version = {version!r}\n")
            archive.writestr(f"{about}/METADATA", "\n".join(metadata) + "\n")
            archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n")
            archive.writestr(f"{about}/RECORD", "")
        return path

    return make

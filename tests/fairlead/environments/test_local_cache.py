"""Bundles of served models in the cache: one per state of everything that they are made of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fairlead.environments.local_cache import KEPT, bundle_folder


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "model.joblib"
    path.write_bytes(b"a model")
    return path


def test_other_packages_are_another_bundle(model: Path) -> None:
    """Serving again after an upgrade of scikit-learn met the bundle that pins the old one, and refused."""
    first = bundle_folder(model, ("scikit-learn==1.7",))
    assert bundle_folder(model, ("scikit-learn==1.7",)) == first
    assert bundle_folder(model, ("scikit-learn==1.8",)) != first
    os.utime(model, (0, 0))
    assert bundle_folder(model, ("scikit-learn==1.7",)) != first


def test_a_few_are_kept(model: Path) -> None:
    for version in range(KEPT + 3):
        bundle_folder(model, version).mkdir()
    place = bundle_folder(model, "another").parent
    assert len(list(place.iterdir())) == KEPT - 1

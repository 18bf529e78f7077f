"""Bundles of served models in the cache: kept under the name that their content gives them, a few of each model."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.environments.local_cache import KEPT, keep, place_of


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return place_of(tmp_path / "model.joblib")


def made(place: Path, name: str) -> Path:
    (place / name).mkdir()
    return place / name


def test_the_same_bundle_is_kept_once_and_another_beside_it(place: Path) -> None:
    """Serving again after an upgrade of scikit-learn makes another bundle of the same file."""
    first = keep(made(place, "new-1"), "a" * 64)
    assert keep(made(place, "new-2"), "a" * 64) == first
    assert keep(made(place, "new-3"), "b" * 64) != first
    assert sorted(each.name for each in place.iterdir()) == ["a" * 16, "b" * 16]


def test_a_few_are_kept(place: Path) -> None:
    for version in range(KEPT + 3):
        newest = keep(made(place, f"new-{version}"), str(version) * 64)
    assert newest in place.iterdir()
    assert len(list(place.iterdir())) == KEPT

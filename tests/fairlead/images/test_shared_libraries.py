"""Libraries of the system that wheels want: read out of real ones, named when the base has not got them, whatever bytes come."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fairlead_scoring.bundle import Bundle
from hypothesis import given
from hypothesis import strategies as st

from fairlead.images.bases import open_base
from fairlead.images.building import ImageRecipe, build_image
from fairlead.images.distributions import Distribution
from fairlead.images.layout import LayoutBlobs
from fairlead.images.shared_libraries import lacking, libraries_wanted
from fairlead.images.tar_writing import Entry
from tests.fairlead.images.made_bases import MadeBase


@pytest.mark.needs("lightgbm")
def test_what_lightgbm_wants_is_named_with_its_package() -> None:
    wanted = libraries_wanted([of("lightgbm", installed("lightgbm", "lib_lightgbm.so"))])
    assert {"libgomp.so.1", "libstdc++.so.6", "libc.so.6"} <= wanted.keys()
    assert lacking(wanted, set(wanted) - {"libgomp.so.1"}) == [
        "lightgbm wants libgomp.so.1, which the base does not have; put it there (Debian: libgomp1), unless what uses it is never imported."
    ]


@pytest.mark.needs("lightgbm")
def test_what_another_wheel_brings_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "libgomp.so.1").write_bytes(b"")
    wanted = libraries_wanted([of("lightgbm", installed("lightgbm", "lib_lightgbm.so")), of("openmp", tmp_path / "libgomp.so.1")])
    assert "libgomp.so.1" not in wanted


def test_libraries_of_a_driver_are_nobodys_fault() -> None:
    assert lacking({"libcuda.so.1": "torch", "libnvidia-ml.so.1": "torch"}, ()) == []


def test_a_build_says_what_the_base_lacks(tmp_path: Path, bundle: Bundle, blobs: LayoutBlobs, image_cache: Path, locked: Callable[..., str]) -> None:
    base = open_base(MadeBase(libraries=()).archive(tmp_path / "base.tar"), blobs, image_cache)
    said: list[str] = []
    built = build_image(ImageRecipe(bundle=bundle.path, lock=locked("orjson"), python="3.11", base=base), blobs, image_cache, said.append)
    assert any(" wants libpthread.so.0, which the base does not have" in each for each in built.notices)
    assert not [each for each in built.notices if "libc.so.6" in each]
    assert set(built.notices) <= set(said)


@given(st.binary(max_size=400), st.integers(0, 300))
def test_damaged_files_want_nothing_and_break_nothing(content: bytes, cut: int) -> None:
    real = installed("orjson", "orjson").read_bytes()[: 4096 + cut]
    damaged = real[:cut] + content + real[cut + len(content) :]
    with tempfile.NamedTemporaryFile(suffix=".so") as file:
        file.write(damaged)
        file.flush()
        libraries_wanted([of("x", Path(file.name))])


def of(name: str, file: Path) -> Distribution:
    return Distribution(name=name, version="1", entries=(Entry(path=f"opt/{file.name}", file=file),))


def installed(package: str, begins: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return next(each for each in Path(spec.origin).parent.rglob("*.so") if each.name.startswith(begins))

"""Building images: the same inputs give the same digests, another model is one other layer, and what does not fit is refused by name."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.bundle import Bundle

from fairlead.errors import DigestMismatch, EnvironmentFailure, InvalidBundle, NotFound, UsageError
from fairlead.images.bases import Base, open_base
from fairlead.images.building import ImageRecipe, build_image
from fairlead.images.container import COMMAND
from fairlead.images.layout import LayoutBlobs
from fairlead.images.types import BuiltImage, Layer
from tests.containers import require_base
from tests.fairlead.images.conftest import bundle_of
from tests.fairlead.images.made_bases import MadeBase, layout
from tests.fairlead.images.running import SCRATCH

Lock = Callable[..., str]
BUILD = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from fairlead.images.bases import open_base
    from fairlead.images.building import ImageRecipe, build_image
    from fairlead.images.layout import LayoutBlobs
    folder, base, lock = map(Path, sys.argv[1:])
    os.umask(int(os.environ["UMASK"], 8))
    blobs = LayoutBlobs(folder / "blobs")
    opened = open_base(base, blobs, folder / "cache")
    recipe = ImageRecipe(bundle=folder / "bundle", lock=lock.read_text(), python="3.11", base=opened, variables={"B": "2", "A": "1"}, created=1700000000)
    built = build_image(recipe, blobs, folder / "cache")
    print(built.descriptor.digest, built.platforms[0].sbom.digest, *(layer.diff_id for layer in built.platforms[0].layers))
""")


@pytest.fixture
def base(tmp_path: Path, blobs: LayoutBlobs, image_cache: Path) -> Base:
    return open_base(MadeBase().archive(tmp_path / "base.tar"), blobs, image_cache)


@pytest.fixture
def build(base: Base, blobs: LayoutBlobs, image_cache: Path) -> Callable[..., BuiltImage]:
    def building(bundle: Bundle | Path, **more: Any) -> BuiltImage:
        path = bundle.path if isinstance(bundle, Bundle) else bundle
        said: list[str] = more.pop("said", [])
        recipe = ImageRecipe(**{"bundle": path, "lock": "", "python": "3.11", "base": base, **more})
        return build_image(recipe, blobs, image_cache, said.append)

    return building


Build = Callable[..., BuiltImage]


def test_the_same_inputs_give_the_same_image_anywhere(tmp_path: Path, locked: Lock) -> None:
    """Two processes: other folders, umasks, hash seeds, times of files, and clean caches."""
    made = MadeBase().archive(tmp_path / "base.tar")
    (tmp_path / "lock").write_text(locked("cloudpickle", "joblib"))
    answers = []
    for name, seed, umask in (("first", "0", "022"), ("second place", "7", "077")):
        folder = tmp_path / name
        bundle = bundle_of(folder / "in", b"model")
        bundle.path.rename(folder / "bundle")
        for each in (folder / "bundle").rglob("*"):
            os.utime(each, (int(seed) * 1000, int(seed) * 1000))
        env = os.environ | {"PYTHONHASHSEED": seed, "UMASK": umask}
        done = subprocess.run([sys.executable, "-c", BUILD, folder, made, tmp_path / "lock"], env=env, capture_output=True, text=True)
        answers.append(done.stdout)
        assert done.returncode == 0, done.stderr
    assert answers[0] == answers[1]


def test_every_digest_is_that_of_the_bytes(build: Build, bundle: Bundle, blobs: LayoutBlobs) -> None:
    """Counted again with gzip and hashlib alone."""
    image = build(bundle).platforms[0]
    for layer in image.layers:
        raw = read(blobs, layer.descriptor.digest)
        assert (hashlib.sha256(raw).hexdigest(), len(raw)) == (layer.descriptor.digest, layer.descriptor.size)
        assert hashlib.sha256(gzip.decompress(raw)).hexdigest() == layer.diff_id
    config = json.loads(read(blobs, image.config.digest))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{layer.diff_id}" for layer in image.layers]
    assert len(config["history"]) == len(image.layers)


def test_layers_lie_in_order_and_hold_normal_files(build: Build, bundle: Bundle, blobs: LayoutBlobs, locked: Lock) -> None:
    image = build(bundle, lock=locked("threadpoolctl"), created=1_600_000_000).platforms[0]
    assert [layer.what for layer in image.layers] == ["base", "environment", "runtime", "code", "model:one"]
    for layer in image.layers[1:]:
        members = opened(blobs, layer).getmembers()
        assert {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in members} == {(0, 0, "", "", 1_600_000_000)}
        assert {each.mode for each in members if each.isfile()} <= {0o644, 0o755}
        assert {each.mode for each in members if each.isdir()} == {0o755}
        assert all(each.name.startswith("opt") and ".." not in each.name for each in members)
    names = opened(blobs, image.layers[1]).getnames()
    assert "opt/fairlead/env/lib/python3.11/site-packages/threadpoolctl.py" in names
    assert "opt/fairlead/env/lib/python3.11/site-packages/__pycache__/threadpoolctl.cpython-311.pyc" in names


def test_configuration_says_how_to_run_it(build: Build, bundle: Bundle, blobs: LayoutBlobs) -> None:
    image = build(bundle, labels={"org.opencontainers.image.revision": "abc"}, variables={"PATH": "/x", "OMP_NUM_THREADS": "1"}).platforms[0]
    said = json.loads(read(blobs, image.config.digest))
    config = said["config"]
    assert (said["os"], said["architecture"], said["created"]) == ("linux", "amd64", "1970-01-01T00:00:00Z")
    assert (config["User"], config["WorkingDir"], config["Cmd"]) == ("10001:10001", SCRATCH, list(COMMAND))
    assert "Entrypoint" not in config
    assert config["Env"] == ["PATH=/x", "HOME=/tmp", "USER=fairlead", "OMP_NUM_THREADS=1"]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Labels"]["ai.fairlead.model"] == "one:1"
    assert config["Labels"]["ai.fairlead.bundle"] == bundle.digest
    assert config["Labels"]["ai.fairlead.lock"] == hashlib.sha256(b"").hexdigest()
    assert config["Labels"]["org.opencontainers.image.revision"] == "abc"
    assert "of" not in config["Labels"]


def test_another_model_is_one_other_layer(build: Build, tmp_path: Path) -> None:
    first, second = (build(bundle_of(tmp_path, content)).platforms[0] for content in (b"old" * 9, b"new" * 9))
    changed = [(a.what, b.what) for a, b in zip(first.layers, second.layers, strict=True) if a.descriptor != b.descriptor]
    assert changed == [("model:one", "model:one")]


def test_a_model_that_cannot_be_compressed_costs_what_it_weighs(build: Build, tmp_path: Path) -> None:
    model = os.urandom(10 << 20)
    layer = build(bundle_of(tmp_path, model)).platforms[0].layers[-1]
    assert layer.descriptor.size < len(model) + 16_384


def test_a_bundle_without_models_and_one_with_three(build: Build, blobs: LayoutBlobs, tmp_path: Path) -> None:
    without = build(bundle_of(tmp_path)).platforms[0]
    assert [layer.what for layer in without.layers][3:] == ["code"]
    assert "opt/fairlead/bundle/bundle.json" in opened(blobs, without.layers[-1]).getnames()
    three = build(bundle_of(tmp_path, b"1", b"2", b"3")).platforms[0]
    assert [layer.what for layer in three.layers][3:] == ["code", "model:one", "model:two", "model:three"]
    holding = [layer.what for layer in three.layers[3:] if "opt/fairlead/bundle/bundle.json" in opened(blobs, layer).getnames()]
    assert holding == ["model:three"]


def test_what_was_made_is_not_made_again(build: Build, tmp_path: Path, locked: Lock) -> None:
    bundle, lock = bundle_of(tmp_path, b"a model of this test"), locked("cloudpickle")
    said: list[str] = []
    first = build(bundle, lock=lock, said=said)
    assert any(line.startswith("Packing") for line in said)
    said.clear()
    assert (build(bundle, lock=lock, said=said), said) == (first, [])


def test_blobs_that_went_missing_are_put_there_again(build: Build, bundle: Bundle, blobs: LayoutBlobs, locked: Lock) -> None:
    first = build(bundle, lock=locked("cloudpickle"))
    said: list[str] = []
    for layer in first.platforms[0].layers[1:]:
        (blobs.folder / "blobs" / "sha256" / layer.descriptor.digest).unlink()
    assert build(bundle, lock=locked("cloudpickle"), said=said) == first
    assert not [line for line in said if "packages" in line], "the environment is joined of its parts"
    assert all(blobs.size(layer.descriptor.digest) == layer.descriptor.size for layer in first.platforms[0].layers)


def test_two_platforms_share_what_is_the_same(tmp_path: Path, bundle: Bundle, blobs: LayoutBlobs, image_cache: Path, locked: Lock) -> None:
    """arm64 is built from its own wheels on a machine that cannot run it."""
    arm = MadeBase(machine="arm64", claims="arm64")
    offered = [(MadeBase(), {"os": "linux", "architecture": "amd64"}), (arm, {"os": "linux", "architecture": "arm64", "variant": "v8"})]
    platforms = ("linux/amd64", "linux/arm64")
    base = open_base(layout(tmp_path / "oci", offered, gzip.compress), blobs, image_cache, platforms=platforms)
    built = build_image(ImageRecipe(bundle=bundle.path, lock=locked("numpy"), python="3.11", base=base, platforms=platforms), blobs, image_cache)
    amd, arm64 = built.platforms
    assert [a.what for a, b in zip(amd.layers, arm64.layers, strict=True) if a == b] == ["code", "model:one"]
    assert machines(blobs, amd.layers[1]) | machines(blobs, amd.layers[2]) == {0x3E}
    assert machines(blobs, arm64.layers[1]) | machines(blobs, arm64.layers[2]) == {0xB7}
    index = json.loads(read(blobs, built.descriptor.digest))
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    assert [each["digest"] for each in index["manifests"]] == [f"sha256:{each.manifest.digest}" for each in built.platforms]


def test_what_we_add_is_small(build: Build, bundle: Bundle) -> None:
    layers = {layer.what: layer.descriptor.size for layer in build(bundle).platforms[0].layers}
    assert sum(layers[what] for what in ("environment", "runtime", "code")) < 12 << 20


def test_a_base_of_another_python_is_refused(build: Build, bundle: Bundle) -> None:
    with pytest.raises(EnvironmentFailure, match=r"The lock is for Python 3\.12, and the base for linux/amd64 has 3\.11\.2"):
        build(bundle, python="3.12")


def test_a_platform_that_the_base_lacks_is_refused(build: Build, bundle: Bundle) -> None:
    with pytest.raises(NotFound, match="not for linux/arm64"):
        build(bundle, platforms=("linux/arm64",))


def test_a_file_changed_after_bundling_is_refused(build: Build, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, b"trained")
    (bundle.path / "azureml-models" / "one" / "1" / "one.bin").write_bytes(b"changed")
    with pytest.raises(DigestMismatch, match=r"one\.bin is not what it was"):
        build(bundle)


def test_what_is_no_bundle_is_refused(build: Build, tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="is not a bundle"):
        build(tmp_path)


def test_a_time_that_no_archive_holds_is_refused(build: Build, bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        build(bundle, created=-1)


def test_without_that_python_modules_stay_uncompiled_and_it_is_said(tmp_path: Path, bundle: Bundle, blobs: LayoutBlobs, image_cache: Path) -> None:
    base = open_base(MadeBase(python="3.19.0").archive(tmp_path / "newer.tar"), blobs, image_cache)
    said: list[str] = []
    with pytest.raises(EnvironmentFailure, match=r"orjson.*no wheel for Python 3\.19"):
        build_image(ImageRecipe(bundle=bundle.path, lock="", python="3.19", base=base), blobs, image_cache, said.append)
    assert any("no Python 3.19 on this machine" in line for line in said)


def test_a_real_base_takes_the_wheels_of_its_glibc(bundle: Bundle, blobs: LayoutBlobs, image_cache: Path, locked: Lock) -> None:
    base = open_base(require_base(), blobs, image_cache)
    image = build_image(ImageRecipe(bundle=bundle.path, lock=locked("orjson"), python="3.11", base=base), blobs, image_cache).platforms[0]
    assert (image.python_version[:4], image.libc) == ("3.11", "glibc 2.36")


def read(blobs: LayoutBlobs, digest: str) -> bytes:
    with blobs.open(digest) as stream:
        return stream.read()


def opened(blobs: LayoutBlobs, layer: Layer) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(gzip.decompress(read(blobs, layer.descriptor.digest))))


def machines(blobs: LayoutBlobs, layer: Layer) -> set[int]:
    """e_machine of every ELF file."""
    archive = opened(blobs, layer)
    heads = [stream.read(20) for member in archive.getmembers() if member.isfile() and (stream := archive.extractfile(member)) is not None]
    return {int.from_bytes(head[18:20], "little") for head in heads if head[:4] == b"\x7fELF"}

"""OCI layouts that we write: whole, checked on the way, and never written through a link into somebody else's."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from fairlead_scoring.bundle import Bundle

from fairlead.errors import BlobNotFound, Conflict, DigestMismatch, UsageError
from fairlead.images.archive import chain_ids, docker_archive
from fairlead.images.bases import open_base
from fairlead.images.building import ImageRecipe, build_image
from fairlead.images.layout import LayoutBlobs, reachable, write_layout, write_tar
from fairlead.images.types import BuiltImage
from fairlead.stores import open_store
from tests.fairlead.images.made_bases import MadeBase


@pytest.fixture
def built(tmp_path: Path, bundle: Bundle, blobs: LayoutBlobs, image_cache: Path) -> BuiltImage:
    base = open_base(MadeBase().archive(tmp_path / "base.tar"), blobs, image_cache)
    return build_image(ImageRecipe(bundle=bundle.path, lock="", python="3.11", base=base), blobs, image_cache)


def test_a_layout_is_a_base_again(built: BuiltImage, blobs: LayoutBlobs, tmp_path: Path, image_cache: Path) -> None:
    write_layout(blobs, built.descriptor, tmp_path / "out", "7")
    write_tar(blobs, built.descriptor, tmp_path / "out.tar", "7")
    for source in (f"{tmp_path / 'out'}:7", tmp_path / "out.tar"):
        base = open_base(source, LayoutBlobs(tmp_path / "others"), image_cache)
        assert [each.diff_id for each in base.platforms[0].layers] == [each.diff_id for each in built.platforms[0].layers]


def test_writing_twice_copies_nothing_twice(built: BuiltImage, blobs: LayoutBlobs, tmp_path: Path) -> None:
    write_layout(blobs, built.descriptor, tmp_path / "out", "1")
    before = {each: each.stat().st_ino for each in (tmp_path / "out" / "blobs" / "sha256").iterdir()}
    linked = tmp_path / "somebody-elses-index.json"
    os.link(tmp_path / "out" / "index.json", linked)
    write_layout(blobs, built.descriptor, tmp_path / "out", "2")
    assert {each: each.stat().st_ino for each in before} == before
    assert json.loads(linked.read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == "1"


def test_another_folder_is_left_alone(built: BuiltImage, blobs: LayoutBlobs, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(Conflict, match="no OCI layout"):
        write_layout(blobs, built.descriptor, tmp_path / "mine", "1")


def test_a_damaged_blob_is_noticed_on_the_way_out(built: BuiltImage, blobs: LayoutBlobs, tmp_path: Path) -> None:
    victim = blobs.folder / "blobs" / "sha256" / built.platforms[0].layers[-1].descriptor.digest
    raw = victim.read_bytes()
    victim.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(DigestMismatch):
        write_layout(blobs, built.descriptor, tmp_path / "out", "1")
    with pytest.raises(DigestMismatch):
        write_tar(blobs, built.descriptor, tmp_path / "out.tar", "1")
    with pytest.raises(DigestMismatch):
        list(docker_archive(blobs, built.descriptor.digest, "x:1"))
    victim.unlink()
    with pytest.raises(BlobNotFound):
        write_layout(blobs, built.descriptor, tmp_path / "out", "1")
    assert not (tmp_path / "out.tar").exists()
    assert not list(tmp_path.glob(".out.tar.*"))


def test_a_store_of_the_server_does_as_well(bundle: Bundle, tmp_path: Path, image_cache: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    base = open_base(MadeBase().archive(tmp_path / "base.tar"), store, image_cache)
    built = build_image(ImageRecipe(bundle=bundle.path, lock="", python="3.11", base=base), store, image_cache)
    assert all(store.size(each.digest) == each.size for each in reachable(store, built.descriptor))


def test_an_archive_is_layout_and_docker_archive_at_once(built: BuiltImage, blobs: LayoutBlobs) -> None:
    whole = names(docker_archive(blobs, built.descriptor.digest, "team/app:1"))
    assert {"manifest.json", "index.json", "oci-layout"} <= whole.keys()
    assert json.loads(whole["manifest.json"])[0]["RepoTags"] == ["team/app:1"]
    layers = built.platforms[0].layers
    less = names(docker_archive(blobs, built.descriptor.digest, "team/app:1", leave_out=chain_ids(layer.diff_id for layer in layers[:-1])))
    assert f"blobs/sha256/{layers[-1].descriptor.digest}" in less
    assert f"blobs/sha256/{layers[0].descriptor.digest}" not in less
    assert "index.json" not in less, "an incomplete layout does not pretend to be one"


def test_an_index_is_not_loaded(blobs: LayoutBlobs) -> None:
    put = blobs.put(io.BytesIO(b'{"manifests": [], "mediaType": "application/vnd.oci.image.index.v1+json"}'))
    with pytest.raises(UsageError, match="no manifest of an image for one platform"):
        list(docker_archive(blobs, put.digest, "x:1"))


def names(chunks: object) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:  # type: ignore[arg-type]
        return {member.name: stream.read() for member in archive if (stream := archive.extractfile(member)) is not None}

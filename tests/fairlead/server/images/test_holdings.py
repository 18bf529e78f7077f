"""A base names its layers by digest: what another workspace has under that digest does not come along."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.images.registry.references import parse_reference
from fairlead.images.registry.registry import Registry
from fairlead.schemas.access import NewWorkspace
from fairlead.schemas.bases import BaseWish
from fairlead.schemas.images import Image
from fairlead.sdk.uploads import upload_tree
from fairlead.stores import tree_of
from fairlead.stores.folder import FolderStore
from tests.containers import running_registry
from tests.control_plane import ControlPlane
from tests.fairlead.images.made_bases import MadeBase, layout
from tests.fairlead.images.registry.small_images import image as small_image
from tests.fairlead.server.images.given import built


@pytest.fixture
def theirs(shared_plane: ControlPlane) -> Iterator[Transport]:
    with shared_plane.transport(workspace=f"next-{uuid.uuid4().hex[:8]}") as transport:
        access.create_workspace(transport, NewWorkspace(name=transport.workspace))
        yield transport


def test_a_layout_brings_its_own_bytes(owner: Transport, theirs: Transport, tmp_path: Path) -> None:
    whole = layout(tmp_path / "oci", [(MadeBase(), {"os": "linux", "architecture": "amd64"})], gzip.compress)
    assert "There is no blob" not in _fate(built(owner, base=_uploaded(owner, whole)))
    layer = _layer_of(whole)
    layer.write_bytes(b"another")
    assert f"arrived where {layer.name} was announced" in _fate(built(theirs, base=_uploaded(theirs, whole)))
    layer.unlink()
    assert f"There is no blob {layer.name}" in _fate(built(theirs, base=_uploaded(theirs, whole)))


@pytest.mark.needs("docker-registry")
def test_a_registry_gives_every_layer_to_each_workspace(owner: Transport, theirs: Transport, tmp_path: Path) -> None:
    """One that has only the manifest, of an image whose layers another workspace has here."""
    store = FolderStore(tmp_path / "store")
    with running_registry(tmp_path / "registry") as registry:
        reference = parse_reference(f"{registry.host}/secret/base:1")
        with Registry() as client:
            client.push(store, small_image(store, MadeBase().layer()), reference)
        base = BaseWish(image=str(reference))
        first = built(owner, base=base)
        layer = first.platforms[0].layers[0].digest
        (registry.folder / f"data/docker/registry/v2/repositories/secret/base/_layers/sha256/{layer}/link").unlink()
        assert built(owner, models=["churn:1"], base=base).digest == first.digest
        assert f"{layer} (BLOB_UNKNOWN" in _fate(built(theirs, base=base))


def _uploaded(owner: Transport, folder: Path) -> BaseWish:
    return BaseWish(tree=upload_tree(owner, tree_of(folder), folder))


def _fate(image: Image) -> str:
    return image.failure.message if image.failure else ""


def _layer_of(folder: Path) -> Path:
    def read(digest: str) -> dict[str, list[dict[str, str]]]:
        return json.loads((folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_text())  # type: ignore[no-any-return]

    top = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    manifest = read(read(top)["manifests"][0]["digest"])
    return folder / "blobs" / "sha256" / manifest["layers"][0]["digest"].removeprefix("sha256:")

"""OCI images of a few bytes, made by hand: as a specification reader would, without the code under test."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.images.types import CONFIG, INDEX, LAYER, MANIFEST, Descriptor
from fairlead.stores.folder import FolderStore

DOCKER_KINDS = {
    CONFIG: "application/vnd.docker.container.image.v1+json",
    LAYER: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
}


def put(store: FolderStore, media_type: str, content: bytes, **how: Any) -> Descriptor:
    stored = store.put(io.BytesIO(content))
    return Descriptor(media_type=media_type, digest=stored.digest, size=stored.size, **how)


def layer(files: Mapping[str, bytes]) -> bytes:
    """A tar of these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def image(store: FolderStore, *tars: bytes, architecture: str = "amd64", docker: bool = False) -> Descriptor:
    """An image of these layers. `docker`: with the media types of Docker's schema 2."""
    kinds = DOCKER_KINDS if docker else {kind: kind for kind in DOCKER_KINDS}
    diffs = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in tars]
    config = {"architecture": architecture, "os": "linux", "config": {"Cmd": ["/none"]}, "rootfs": {"type": "layers", "diff_ids": diffs}}
    layers = [put(store, kinds[LAYER], gzip.compress(each, 1, mtime=0)) for each in tars]
    said = {
        "schemaVersion": 2,
        "mediaType": kinds[MANIFEST],
        "config": wire(put(store, kinds[CONFIG], json.dumps(config).encode())),
        "layers": [wire(each) for each in layers],
    }
    return put(store, kinds[MANIFEST], json.dumps(said, indent=3).encode())  # an indent that no tool of ours writes: bytes must be kept


def index(store: FolderStore, **images: Descriptor) -> Descriptor:
    """An index by architecture: `index(store, amd64=…, arm64=…)`."""
    manifests = [{**wire(each), "platform": {"os": "linux", "architecture": name}} for name, each in images.items()]
    return put(store, INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, indent=3).encode())


def wire(descriptor: Descriptor) -> dict[str, Any]:
    return {"mediaType": descriptor.media_type, "digest": f"sha256:{descriptor.digest}", "size": descriptor.size}


def noise(size: int) -> bytes:
    """What no compression shortens."""
    return os.urandom(size)


def digests(store: FolderStore) -> dict[str, int]:
    return {each.digest: each.size for each in store.list()}


def layout_digests(folder: Path) -> dict[str, int]:
    """Of an OCI layout that another tool wrote, each compared with its name."""
    found = {path.name: path.read_bytes() for path in (folder / "blobs" / "sha256").iterdir()}
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in found.items())
    return {name: len(content) for name, content in found.items()}

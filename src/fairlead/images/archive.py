"""One tar archive that is a Docker archive and an OCI layout at once, for engines that load images.

Docker 20.10 reads `manifest.json` and knows nothing of layouts; Docker 25 and later, Podman and containerd read either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator

from fairlead.errors import UsageError
from fairlead.images.documents import MANIFEST_TYPES, digest_of, from_wire, read_document
from fairlead.images.layout import MARKED, MARKER, blob_entries, index_document
from fairlead.images.tar_writing import END, Entry, archive_of
from fairlead.images.types import MANIFEST, Blobs, Descriptor


def docker_archive(blobs: Blobs, manifest_digest: str, name: str, leave_out: Collection[str] = ()) -> Iterator[bytes]:
    """`docker load` makes the image NAME of it. `manifest_digest`: of one platform, plain hex. Raises UsageError, DigestMismatch, BlobNotFound.

    leave_out: chain ids of layers that the engine has on top of the same others. Docker's own store never opens these; an engine with containerd's
    store refuses such an archive, and is to be sent the whole.
    """
    manifest = Descriptor(media_type=MANIFEST, digest=manifest_digest, size=blobs.size(manifest_digest) or 0)
    said = read_document(blobs, manifest)
    if said.get("mediaType", MANIFEST) not in MANIFEST_TYPES or "layers" not in said:
        raise UsageError(f"sha256:{manifest_digest} is no manifest of an image for one platform. Name that of a platform.")
    config = from_wire(said["config"])
    layers = [from_wire(each) for each in said["layers"]]
    diff_ids = [digest_of(each) for each in read_document(blobs, config)["rootfs"]["diff_ids"]]
    sent = [layer for layer, chain in zip(layers, chain_ids(diff_ids), strict=True) if chain not in leave_out]
    loaded = [{"Config": _path(config), "RepoTags": [name], "Layers": [_path(each) for each in layers]}]
    yield from archive_of([Entry(path="blobs"), Entry(path="blobs/sha256"), Entry(path="manifest.json", content=json.dumps(loaded).encode())], 0)
    if len(sent) == len(layers):
        yield from archive_of([Entry(path=MARKER, content=MARKED), Entry(path="index.json", content=index_document(manifest, name))], 0)
    yield from blob_entries(blobs, [manifest, config, *sent])
    yield END


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """Of each layer, lowest first, and all below it (OCI image specification, Layer ChainID); plain hex, as the diff_ids are."""
    chain = ""
    chains = []
    for diff_id in diff_ids:
        chain = hashlib.sha256(f"sha256:{chain} sha256:{diff_id}".encode()).hexdigest() if chain else diff_id
        chains.append(chain)
    return chains


def _path(descriptor: Descriptor) -> str:
    return f"blobs/sha256/{descriptor.digest}"

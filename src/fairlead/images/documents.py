"""Reads and writes the JSON documents of images: descriptors, manifests, configurations. What is read may be anybody's."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from typing import Any

from fairlead.errors import DigestMismatch, UsageError
from fairlead.images.types import INDEX, LAYER, MANIFEST, Blobs, Descriptor

INDEX_TYPES = frozenset((INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"))
MANIFEST_TYPES = frozenset((MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"))
GZIP_LAYERS = frozenset((LAYER, "application/vnd.docker.image.rootfs.diff.tar.gzip"))
PLAIN_LAYERS = frozenset(("application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"))
LARGEST = 4 << 20  # bytes of a document; registries refuse larger manifests too

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def digest_of(said: object) -> str:
    """Plain hex of `sha256:…`. Raises UsageError."""
    found = _DIGEST.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        raise UsageError(f"{str(said)[:80]!r} is no SHA-256 digest, so the image that names it cannot be used. Copy the image again.")
    return found[1]


def canonical(said: Mapping[str, Any]) -> bytes:
    """The same content gives the same bytes."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def put_document(blobs: Blobs, said: Mapping[str, Any], media_type: str, **more: Any) -> Descriptor:
    raw = canonical(said)
    put = blobs.put(io.BytesIO(raw), expect=hashlib.sha256(raw).hexdigest())
    return Descriptor(media_type=media_type, digest=put.digest, size=put.size, **more)


def read_document(blobs: Blobs, descriptor: Descriptor) -> dict[str, Any]:
    """Verified against its digest. Raises DigestMismatch, BlobNotFound, UsageError."""
    with blobs.open(descriptor.digest) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) <= LARGEST and hashlib.sha256(raw).hexdigest() != descriptor.digest:
        raise DigestMismatch(f"The blob sha256:{descriptor.digest} holds other bytes than it is named for; it was damaged. Copy or pull the image again.")
    return parsed(raw, f"sha256:{descriptor.digest}")


def parsed(raw: bytes, what: str) -> dict[str, Any]:
    """Raises UsageError for anything but a JSON object of reasonable size."""
    if len(raw) > LARGEST:
        raise UsageError(f"{what} of the image is larger than {LARGEST >> 20} MiB; no manifest or configuration is. Copy the image again.")
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise UsageError(f"{what} of the image is no JSON object. Copy the image again.")
    return said


def from_wire(said: Any) -> Descriptor:
    """A descriptor as documents hold it. Raises UsageError."""
    if not isinstance(said, dict) or not isinstance(said.get("mediaType"), str) or type(said.get("size")) is not int or said["size"] < 0:
        raise UsageError(f"A descriptor of the image has no media type or size: {str(said)[:120]}. Copy the image again.")
    notes, platform, kind = said.get("annotations"), said.get("platform"), said.get("artifactType")
    return Descriptor(
        media_type=said["mediaType"],
        digest=digest_of(said.get("digest")),
        size=said["size"],
        annotations={str(name): str(value) for name, value in notes.items()} if isinstance(notes, dict) else {},
        platform=platform if isinstance(platform, dict) else None,
        artifact_type=kind if isinstance(kind, str) else None,
    )


def to_wire(descriptor: Descriptor) -> dict[str, Any]:
    said: dict[str, Any] = {"mediaType": descriptor.media_type, "digest": f"sha256:{descriptor.digest}", "size": descriptor.size}
    if descriptor.annotations:
        said["annotations"] = dict(descriptor.annotations)
    if descriptor.platform is not None:
        said["platform"] = dict(descriptor.platform)
    if descriptor.artifact_type is not None:
        said["artifactType"] = descriptor.artifact_type
    return said


def listed(said: Mapping[str, Any], name: str) -> list[Any]:
    """A list that the document must have. Raises UsageError."""
    value = said.get(name)
    if not isinstance(value, list):
        raise UsageError(f"The image has no list of {name}. Copy the image again.")
    return value

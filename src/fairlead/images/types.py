"""What images are made of: OCI descriptors, blobs by digest, and where an image came out.

Contract: OCI image specification 1.1 (descriptor, manifest, index, configuration).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SBOM = "application/vnd.cyclonedx+json"

AGAIN = "; trying again in"  # in every line that says that what is waited for has not come yet

Say = Callable[[str], None]


def say_nothing(_: str) -> None:
    """Where nobody listens."""


class Put(Protocol):
    """What putting answers: SHA-256 in hex, size in bytes."""

    @property
    def digest(self) -> str: ...
    @property
    def size(self) -> int: ...


class Blobs(Protocol):
    """Where the parts of images lie, by SHA-256 in plain hex: a store of the server, an OCI layout, another machine. Every `stores.Store` is one."""

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> Put:
        """Raises DigestMismatch when the bytes are not `expect`; then nothing is kept."""
        ...

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        """Not verified on the way. Raises BlobNotFound."""
        ...

    def size(self, digest: str) -> int | None:
        """Bytes; None when it is not there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Of a blob. `digest`: plain hex; `sha256:` is added where it is written."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, Any] | None = None  # of a manifest inside an index: {"os": "linux", "architecture": "amd64"}
    artifact_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """`what`: base, environment, runtime, code, model:NAME. `diff_id`: SHA-256 of the tar before it was compressed, plain hex."""

    descriptor: Descriptor
    diff_id: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformImage:
    """One image of one platform, such as `linux/amd64`. `config.digest` is the id under which Docker's own store knows it."""

    platform: str
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Layer, ...]
    python_version: str
    libc: str  # glibc 2.36
    sbom: Descriptor | None = None  # CycloneDX JSON; a referrer of the manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """`descriptor`: of the manifest, or of the index when there are several platforms. `notices`: what works, but not as well as it could."""

    descriptor: Descriptor
    platforms: tuple[PlatformImage, ...]
    base: str  # how it was named, with its digest
    notices: tuple[str, ...] = ()

"""Manifests and indexes as registries give them: read, checked, never rewritten; Docker's schema 2 as well as OCI's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.errors import DigestMismatch, NotFound, UsageError
from fairlead.images.types import INDEX, MANIFEST, Blobs, Descriptor

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
INDEXES = (INDEX, DOCKER_LIST)
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_ASSUMED_VARIANTS = {("arm64", ""): "v8", ("arm", ""): "v7"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest or an index, its bytes as they were pushed."""

    descriptor: Descriptor
    content: bytes
    said: Mapping[str, Any]

    @property
    def is_index(self) -> bool:
        return self.descriptor.media_type in INDEXES

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """Manifests of an index."""
        return tuple(_descriptor(each) for each in _listed(self.said, "manifests")) if self.is_index else ()

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Configuration and layers of a manifest, each once."""
        if self.is_index:
            return ()
        return tuple({each.digest: each for each in (_descriptor(self.said.get("config")), *self.layers)}.values())

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """As the manifest lists them; the same bytes may come more than once, with other annotations."""
        return () if self.is_index else tuple(_descriptor(each) for each in _listed(self.said, "layers"))

    @property
    def subject(self) -> Descriptor | None:
        """What it is a referrer of."""
        return _descriptor(self.said["subject"]) if self.said.get("subject") else None

    @property
    def artifact_type(self) -> str | None:
        """As a list of referrers has to say it."""
        said = self.said.get("artifactType") or (None if self.is_index else (self.said.get("config") or {}).get("mediaType"))
        return str(said) if said else None

    @property
    def annotations(self) -> dict[str, str]:
        return _annotations(self.said)


def parse_document(content: bytes, *, where: str, media_type: str | None = None, digest: str | None = None) -> Document:
    """`where`: it came from, for errors. `media_type`: as the registry says. Raises DigestMismatch when it is not `digest`, UsageError when it is no image."""
    found = hashlib.sha256(content).hexdigest()
    if digest is not None and found != digest:
        raise DigestMismatch(f"{where} gave a manifest with digest {found} where {digest} was asked for; it is damaged or forged and was not taken.")
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise UsageError(f"{where} gave no manifest but {content[:40]!r}; look at the name and the host.")
    kind = _kind(said, media_type, where)
    document = Document(descriptor=Descriptor(media_type=kind, digest=found, size=len(content)), content=content, said=said)
    try:
        _ = document.children, document.blobs, document.subject
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(f"{where} gave a manifest that is not as the OCI specification has it; make the image anew.") from None
    return document


def load_document(blobs: Blobs, descriptor: Descriptor) -> Document:
    """What was kept. Raises BlobNotFound, DigestMismatch."""
    with blobs.open(descriptor.digest) as stream:
        content = stream.read()
    return parse_document(content, where=f"Blob {descriptor.digest}", media_type=descriptor.media_type, digest=descriptor.digest)


def choose_platform(index: Document, platform: str, *, where: str) -> Descriptor:
    """The manifest for `linux/amd64` or `linux/arm/v7`. Raises NotFound that says which there are."""
    wanted = _triple(platform)
    offered = [(each, _platform_of(each)) for each in index.children]
    for each, its in offered:
        if its is not None and (its == wanted or (not platform.count("/") > 1 and its[:2] == wanted[:2])):
            return each
    names = sorted({"/".join(filter(None, its)) for _, its in offered if its is not None})
    raise NotFound(f"{where} has nothing for {platform}; it has {', '.join(names) or 'no platforms at all'}. Choose one of them, or another image.")


def to_json(descriptor: Descriptor) -> dict[str, Any]:
    """As it is written in a manifest."""
    said: dict[str, Any] = {"mediaType": descriptor.media_type, "digest": f"sha256:{descriptor.digest}", "size": descriptor.size}
    if descriptor.artifact_type:
        said["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        said["annotations"] = dict(descriptor.annotations)
    if descriptor.platform:
        said["platform"] = dict(descriptor.platform)
    return said


def write_json(said: Mapping[str, Any]) -> bytes:
    """The same bytes each time."""
    return json.dumps(said, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def _kind(said: Mapping[str, Any], media_type: str | None, where: str) -> str:
    """What the registry says it is, which must be what it says itself."""
    header = (media_type or "").partition(";")[0].strip().lower() or None
    kind = str(said.get("mediaType") or header or (INDEX if "manifests" in said else MANIFEST))
    if said.get("schemaVersion") != 2 or kind not in (*MANIFESTS, *INDEXES):
        raise UsageError(f"{where} is of a kind that is not supported ({kind}, schema {said.get('schemaVersion')}); push it again with a tool of today.")
    if header not in (None, kind, "application/json", "text/plain", "application/octet-stream"):
        raise UsageError(f"{where} calls itself {kind}, and its registry calls it {header}; one of them is mistaken or lies, so it was not taken.")
    return kind


def _descriptor(said: Any) -> Descriptor:
    digest, size = _DIGEST.fullmatch(said["digest"]), said["size"]
    if digest is None or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(said)
    return Descriptor(
        media_type=str(said["mediaType"]),
        digest=digest[1],
        size=size,
        annotations=_annotations(said),
        platform=said.get("platform") or None,
        artifact_type=said.get("artifactType") or None,
    )


def _listed(said: Mapping[str, Any], name: str) -> list[Any]:
    found = said.get(name) or []
    if not isinstance(found, list):
        raise TypeError(name)
    return found


def _annotations(said: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in (said.get("annotations") or {}).items()}


def _triple(platform: str) -> tuple[str, str, str]:
    system, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    if not system or not architecture:
        raise UsageError(f"{platform!r} is no platform; linux/amd64 and linux/arm64 are.")
    return system, architecture, variant or _ASSUMED_VARIANTS.get((architecture, ""), "")


def _platform_of(descriptor: Descriptor) -> tuple[str, str, str] | None:
    """None for what runs nowhere, such as BuildKit's attestations."""
    said = descriptor.platform or {}
    system, architecture, variant = (str(said.get(name) or "") for name in ("os", "architecture", "variant"))
    if not system or system == "unknown":
        return None
    return system, architecture, variant or _ASSUMED_VARIANTS.get((architecture, ""), "")

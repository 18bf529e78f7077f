"""The bill of materials of an image, and the artifact that attaches it to the image.

Contracts: CycloneDX 1.6 (ECMA-424); OCI image specification 1.1, artifacts with a subject.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairlead_scoring.bundle import Bundle, BundledModel

from fairlead.images.bases import Base, BasePlatform
from fairlead.images.container import moment
from fairlead.images.documents import canonical, put_document, to_wire
from fairlead.images.site_layers import Package, SiteLayer
from fairlead.images.types import MANIFEST, SBOM, Blobs, Descriptor

_EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """What an image of one platform is made of."""

    bundle: Bundle
    base: Base
    on: BasePlatform
    python: str
    sites: Sequence[SiteLayer]
    created: int


def attach_sbom(materials: Materials, manifest: Descriptor, blobs: Blobs) -> Descriptor:
    """Puts the bill among the blobs, and a manifest that says which image it is of; answers that manifest."""
    raw = canonical(bill(materials, manifest))
    put = blobs.put(io.BytesIO(raw), expect=hashlib.sha256(raw).hexdigest())
    empty = blobs.put(io.BytesIO(b"{}"))
    said = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": SBOM,
        "config": to_wire(Descriptor(media_type=_EMPTY, digest=empty.digest, size=empty.size)),
        "layers": [to_wire(Descriptor(media_type=SBOM, digest=put.digest, size=put.size))],
        "subject": to_wire(Descriptor(media_type=manifest.media_type, digest=manifest.digest, size=manifest.size)),
        "annotations": {"org.opencontainers.image.created": moment(materials.created)},
    }
    return put_document(blobs, said, MANIFEST, artifact_type=SBOM)


def bill(materials: Materials, manifest: Descriptor) -> dict[str, Any]:
    """CycloneDX, the same for the same image."""
    bundle = materials.bundle
    image = {"type": "container", "bom-ref": "image", "name": bundle.manifest.name, "hashes": [_sha256(manifest.digest)]}
    components = [_base(materials), _python(materials), *_packages(materials), *(_model(bundle, each) for each in bundle.manifest.models)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, manifest.digest)}",
        "version": 1,
        "metadata": {"timestamp": moment(materials.created), "component": {**image, "properties": [_property("bundle", bundle.digest)]}},
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": [each["bom-ref"] for each in components]}],
    }


def _base(materials: Materials) -> dict[str, Any]:
    name = materials.base.name or "base"
    return {"type": "container", "bom-ref": "base", "name": name, "version": f"sha256:{materials.on.digest}", "hashes": [_sha256(materials.on.digest)]}


def _python(materials: Materials) -> dict[str, Any]:
    return {"type": "platform", "bom-ref": "python", "name": "CPython", "version": materials.python, "purl": f"pkg:generic/python@{materials.python}"}


def _packages(materials: Materials) -> list[dict[str, Any]]:
    return [_package(package, site.layer.what) for site in materials.sites for package in site.packages]


def _package(package: Package, layer: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"{layer}/{package.name}",
        "name": package.name,
        "version": package.version,
        "purl": f"pkg:pypi/{package.name}@{package.version}",
        "properties": [_property("layer", layer)],
    }
    if package.summary:
        said["description"] = package.summary
    if package.licence:
        said["licenses"] = [{"expression": package.licence}]
    if package.sha256:
        said["hashes"] = [_sha256(package.sha256)]
    return said


def _model(bundle: Bundle, model: BundledModel) -> dict[str, Any]:
    files = [each for each in bundle.manifest.files if each.path == model.path or each.path.startswith(f"{model.path}/")]
    said: dict[str, Any] = {"type": "machine-learning-model", "bom-ref": f"model/{model.name}/{model.version}", "name": model.name, "version": model.version}
    if len(files) == 1:
        return {**said, "hashes": [_sha256(files[0].sha256)]}
    inside = [{"type": "file", "bom-ref": f"file/{each.path}", "name": each.path, "hashes": [_sha256(each.sha256)]} for each in files]
    return {**said, "components": inside}


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"ai.fairlead:{name}", "value": value}

"""Signatures of images as cosign makes and checks them: a simple-signing payload beside the image, under the tag `sha256-<digest>.sig`.

Contract: cosign's SIGNATURE_SPEC.md. A signature here is of a key, without a transparency log: cosign checks it with
`cosign verify --key cosign.pub --insecure-ignore-tlog=true IMAGE`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from fairlead.errors import Forbidden, NotFound, UsageError
from fairlead.images.registry.documents import Document, to_json, write_json
from fairlead.images.registry.references import Reference
from fairlead.images.registry.registry import Registry
from fairlead.images.types import CONFIG, MANIFEST, Blobs, Descriptor

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"

_TYPE = "cosign container image signature"
_LONGEST_PAYLOAD = 1 << 20
_MOST_SIGNATURES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """`payload`: the bytes that were signed. `value`: base64 of the ECDSA signature in DER, over their SHA-256."""

    payload: bytes
    value: str


def sign(name: str, digest: str, key: ec.EllipticCurvePrivateKey, claims: Mapping[str, str] | None = None) -> Signature:
    """Of an image's digest. `name`: host and repository, for people to read; it decides nothing. `claims`: what the signer adds."""
    critical = {"identity": {"docker-reference": name}, "image": {"docker-manifest-digest": f"sha256:{digest}"}, "type": _TYPE}
    payload = write_json({"critical": critical, "optional": dict(claims) if claims else None})
    return Signature(payload=payload, value=base64.b64encode(key.sign(payload, ec.ECDSA(hashes.SHA256()))).decode())


def is_signed_by(signature: Signature, digest: str, key: ec.EllipticCurvePublicKey) -> bool:
    """True when that key has signed, and signed this digest."""
    try:
        key.verify(base64.b64decode(signature.value, validate=True), signature.payload, ec.ECDSA(hashes.SHA256()))
        critical = json.loads(signature.payload)["critical"]
        return bool(critical["type"] == _TYPE and critical["image"]["docker-manifest-digest"] == f"sha256:{digest}")
    except (InvalidSignature, binascii.Error, ValueError, KeyError, TypeError):
        return False


def push_signature(registry: Registry, reference: Reference, blobs: Blobs, signature: Signature) -> Reference:
    """Beside the image that the reference names by digest, with the signatures that are there; where it lies then."""
    place = signature_place(reference)
    kept = [each for each in _fetch(registry, place, blobs) if each != signature]
    descriptor = write_signatures(blobs, [*kept, signature])
    registry.push(blobs, descriptor, place)
    return place


def verify(registry: Registry, reference: Reference, blobs: Blobs, key: ec.EllipticCurvePublicKey) -> Signature:
    """Raises NotFound when the image is not signed, Forbidden when only by others. `blobs` keeps what was read."""
    place = signature_place(reference)
    found = _fetch(registry, place, blobs)
    if not found:
        raise NotFound(f"{reference} is not signed; sign it, or run it where no signature is asked for.")
    for signature in found:
        if is_signed_by(signature, str(reference.digest), key):
            return signature
    raise Forbidden(f"{reference} is signed, and not by the key that is asked for; do not run it before you know by whom.")


def signature_place(reference: Reference) -> Reference:
    """Where cosign looks for signatures. Raises UsageError for a reference without a digest: tags move."""
    if reference.digest is None:
        raise UsageError(f"{reference} names a tag, and signatures are of digests; resolve it first.")
    return reference.tagged(f"sha256-{reference.digest}.sig")


def write_signatures(blobs: Blobs, signatures: Sequence[Signature]) -> Descriptor:
    """The manifest that cosign reads, put into `blobs`: one layer for each signature."""
    layers = [_put(blobs, each.payload, PAYLOAD, {SIGNATURE: each.value}) for each in signatures]
    config = {
        "architecture": "",
        "created": "0001-01-01T00:00:00Z",
        "history": [{"created": "0001-01-01T00:00:00Z"} for _ in layers],
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each.digest}" for each in layers]},
        "config": {},
    }
    described = to_json(_put(blobs, write_json(config), CONFIG))
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": [to_json(each) for each in layers]}
    return _put(blobs, write_json(manifest), MANIFEST)


def read_signatures(manifest: Document, blobs: Blobs) -> list[Signature]:
    """Those of a manifest whose payloads are in `blobs`; what is none is left out."""
    found = []
    for layer in manifest.layers[:_MOST_SIGNATURES]:
        value = layer.annotations.get(SIGNATURE)
        if layer.media_type == PAYLOAD and value and layer.size <= _LONGEST_PAYLOAD:
            with blobs.open(layer.digest) as stream:
                found.append(Signature(payload=stream.read(), value=value))
    return found


def _fetch(registry: Registry, place: Reference, blobs: Blobs) -> list[Signature]:
    try:
        manifest = registry.fetch(place)
    except NotFound:
        return []
    registry.pull(place.pinned(manifest.descriptor.digest), blobs)
    return read_signatures(manifest, blobs)


def _put(blobs: Blobs, content: bytes, media_type: str, annotations: Mapping[str, str] | None = None) -> Descriptor:
    put = blobs.put(io.BytesIO(content), expect=hashlib.sha256(content).hexdigest())
    return Descriptor(media_type=media_type, digest=put.digest, size=put.size, annotations=annotations or {})

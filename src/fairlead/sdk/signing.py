"""Signing images: with a key of this machine, which goes nowhere; the server and registries are given the signature."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from fairlead.client import images
from fairlead.client.transport import Transport
from fairlead.errors import UsageError
from fairlead.images.layout import LayoutBlobs
from fairlead.images.registry.references import Reference
from fairlead.images.registry.registry import Registry
from fairlead.images.signing import Signature, is_signed_by, push_signature
from fairlead.images.signing import sign as sign_digest
from fairlead.images.signing_keys import find_password, load_private_key
from fairlead.schemas.images import Image, ImageSignature, NewSignature


def sign(transport: Transport, image: Image, key_file: Path) -> Image:
    """The image, signed; as it is, when this key has signed it already. An encrypted key's password is in COSIGN_PASSWORD. Raises UsageError."""
    if image.digest is None:
        raise UsageError(f"{image.reference} has no digest to sign: it is {'a Dockerfile' if image.context else image.state}.")
    key = load_key(key_file)
    if any(is_signed_by(_signature(each), image.digest, key.public_key()) for each in image.signatures):
        return image
    made = sign_digest(image.name, image.digest, key)
    return images.sign(transport, image.id, NewSignature(payload=made.payload.decode(), value=made.value))


def load_key(key_file: Path) -> EllipticCurvePrivateKey:
    """Its password is in COSIGN_PASSWORD. Raises UsageError."""
    try:
        pem = key_file.read_bytes()
    except OSError as error:
        raise UsageError(f"The key {key_file} cannot be read ({error.strerror}); give a private key, as `cosign generate-key-pair` makes it.") from error
    return load_private_key(pem, find_password())


def push_signatures(registry: Registry, reference: Reference, image: Image, room: Path) -> None:
    """Beside the image in the registry, where cosign looks for them. `reference`: by digest; `room`: a folder for what passes through."""
    blobs = LayoutBlobs(room)
    for each in image.signatures:
        push_signature(registry, reference, blobs, _signature(each))


def _signature(recorded: ImageSignature) -> Signature:
    return Signature(payload=recorded.payload.encode(), value=recorded.value)
